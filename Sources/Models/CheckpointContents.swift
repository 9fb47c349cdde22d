import Checkpoints
import StrictJSON

/// The tensors of a checkpoint by cleaned name, without those that are ignored on request.
struct CheckpointContents: Sendable {
  let checkpoint: Checkpoint
  /// Cleaned names in the order of the file.
  let names: [String]
  /// Names that were ignored on request, in the order of the file.
  let ignored: [String]
  private let entries: [String: TensorEntry]

  var config: JSONValue? { checkpoint.config }

  init(_ checkpoint: Checkpoint, ignoring patterns: [String] = []) throws(ModelError) {
    let cleaned = CleanedNames(checkpoint.tensors.map(\.name))
    var names: [String] = []
    var ignored: [String] = []
    var entries: [String: TensorEntry] = [:]
    for (name, tensor) in zip(cleaned.names, checkpoint.tensors) {
      if patterns.contains(where: { matches(name, $0) || matches(tensor.name, $0) }) {
        ignored.append(name)
      } else if let other = entries.updateValue(tensor, forKey: name) {
        throw ModelError(
          .unreadable, place: "tensors \"\(other.name)\" and \"\(tensor.name)\"",
          found: "the same name \"\(name)\" once the components of wrappers are dropped",
          expected: "the weights of one model",
          advice: "Leave those of one out by `ignored`")
      } else {
        names.append(name)
      }
    }
    self.checkpoint = checkpoint
    self.names = names
    self.ignored = ignored
    self.entries = entries
  }

  func entry(_ name: String) -> TensorEntry? { entries[name] }

  /// The tensor by a name under a prefix.
  ///
  /// - Parameter isHead: whether it may stand beside the network, under a shorter prefix: backbones and
  ///   their heads often are two modules.
  func entry(_ prefix: String, _ name: String, isHead: Bool) -> TensorEntry? {
    if let found = entries[prefix + name] { return found }
    guard isHead else { return nil }
    return Self.outer(prefix).lazy.compactMap { entries[$0 + name] }.first
  }

  /// The prefixes that hold a prefix, the longest first: `a.b.` stands in `a.` and in the empty one.
  static func outer(_ prefix: String) -> [String] {
    var result: [String] = []
    var components = prefix.split(separator: ".")
    while components.popLast() != nil {
      result.append(components.map { $0 + "." }.joined())
    }
    return result
  }

  /// The one linear layer of a head that is a list of layers, without `.weight`; nil if there are
  /// further parameters, which would have to be applied too.
  func linearLayer(of head: String) -> String? {
    var layer: String?
    for name in names where name.hasPrefix(head + ".") {
      if name.hasSuffix(".weight"), entries[name]?.shape.count == 2, layer == nil {
        layer = String(name.dropLast(".weight".count))
      } else if !name.hasSuffix(".bias") {
        return nil
      }
    }
    guard let layer, layer != head,
      names.allSatisfy({
        !$0.hasPrefix(head + ".") || $0 == layer + ".weight" || $0 == layer + ".bias"
      })
    else { return nil }
    return layer
  }
}
