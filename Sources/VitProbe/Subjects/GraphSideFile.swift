import Checkpoints
import Models
import StrictJSON
import Tensors

/// What is said of the layers of an exported graph in a file beside it: `m.layers.json` for `m.pt2` or `m.onnx`.
///
/// ```json
/// {"kinds": {"*.mixer": "msa"}, "layouts": {"neck*": "map"}, "blocks": ["stages.*.blocks.*"], "prefix-tokens": 1}
/// ```
///
/// What is said with a command comes on top.
struct GraphSideFile {
  let path: String
  let overrides: GraphOverrides

  /// Reads the file beside a graph; nil where there is none.
  ///
  /// - Throws: `CheckpointError` for a file that cannot be read or is no JSON, ``VitProbeError`` for a key or a value that
  ///   is not known.
  init?(beside graph: String) throws {
    let cut = graph.split(separator: "/").last?.lastIndex(of: ".") ?? graph.endIndex
    path = graph[..<cut] + ".layers.json"
    let document: JSONValue
    do throws(CheckpointError) {
      let file = try MappedFile(path: path)
      document = try withExtendedLifetime(file) { () throws(CheckpointError) in
        try JSONValue.parse(file.bytes, file: file.path)
      }
    } catch {
      guard error.kind == .noSuchFile else { throw error }
      return nil
    }
    guard let members = document.objectValue else {
      throw Self.failure(path, "", document.kindName, "an object")
    }
    var overrides = GraphOverrides()
    for member in members {
      switch member.name {
      case "kinds":
        overrides.kinds = try Self.choices(member, path, Tap.Kind.allCases).map {
          GraphOverrides.Kind(pattern: $0, kind: $1)
        }
      case "layouts":
        overrides.layouts = try Self.choices(member, path, GraphOverrides.Layout.Axes.allCases)
          .map { GraphOverrides.Layout(pattern: $0, axes: $1) }
      case "blocks":
        let patterns = member.value.arrayValue?.map(\.stringValue) ?? [nil]
        overrides.blocks = patterns.compactMap(\.self)
        guard overrides.blocks.count == patterns.count else {
          throw Self.failure(path, "blocks", member.value.kindName, "a list of patterns")
        }
      case "prefix-tokens":
        guard let count = member.value.intValue, count >= 0 else {
          throw Self.failure(path, member.name, member.value.kindName, "a number from 0 on")
        }
        overrides.prefixTokens = count
      default:
        throw Self.failure(
          path, member.name, "an unknown key", "kinds, layouts, blocks or prefix-tokens")
      }
    }
    self.overrides = overrides
  }

  /// Those of the file, and behind them those that were given, which count where both say something.
  func adding(_ given: GraphOverrides) -> GraphOverrides {
    var result = overrides
    result.kinds += given.kinds
    result.layouts += given.layouts
    if !given.blocks.isEmpty { result.blocks = given.blocks }
    if let prefix = given.prefixTokens { result.prefixTokens = prefix }
    return result
  }

  /// Patterns with one of several words each.
  private static func choices<Choice: RawRepresentable<String>>(
    _ member: JSONValue.Member, _ path: String, _ all: [Choice]
  ) throws -> [(String, Choice)] {
    let known = all.map(\.rawValue).joined(separator: ", ")
    guard let entries = member.value.objectValue else {
      throw failure(path, member.name, member.value.kindName, "an object of patterns")
    }
    return try entries.map { entry in
      guard let choice = entry.value.stringValue.flatMap(Choice.init(rawValue:)) else {
        throw failure(
          path, "\(member.name).\(entry.name)",
          entry.value.stringValue.map { "\"\($0)\"" } ?? entry.value.kindName, "one of \(known)")
      }
      return (entry.name, choice)
    }
  }

  private static func failure(
    _ path: String, _ place: String, _ found: String, _ expected: String
  ) -> VitProbeError {
    VitProbeError(.badData, "\(path): \(place): \(found); expected \(expected)")
  }
}
