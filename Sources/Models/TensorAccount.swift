import Checkpoints

/// Sorts the tensors of a file into those that a network asked for, those without meaning or part in its
/// output, and those that may stand on the way to it, which are an error.
struct TensorAccount {
  /// Cleaned names of the tensors that were asked for.
  private var matched: Set<String> = []
  private var ignored: [String] = []
  private var unmatched: [LoadReport.UnusedTensor] = []
  private var unknown: [String] = []

  /// - Parameters:
  ///   - used: names, as in the file, of the tensors that were asked for.
  ///   - others: prefixes of other networks in the file.
  init(_ used: Set<String>, _ view: WeightsView, others: [String]) {
    let contents = view.contents
    var blocks: Set<Substring> = []
    for name in contents.names {
      guard let entry = contents.entry(name), used.contains(entry.name) else { continue }
      matched.insert(name)
      if let block = Self.block(name, view.prefix) { blocks.insert(block) }
    }
    let heads = Set(matched.compactMap(Self.head))
    for name in contents.names where !matched.contains(name) {
      let own = name.hasPrefix(view.prefix) ? String(name.dropFirst(view.prefix.count)) : name
      if view.keyMapping.ignored.contains(where: { matches(own, $0) || matches(name, $0) }) {
        ignored.append(name)
        continue
      }
      let isPart =
        Self.block(name, view.prefix).map(blocks.contains) ?? false
        || Self.head(name).map(heads.contains) ?? false
      let isOther =
        (!name.hasPrefix(view.prefix) || view.prefix.isEmpty)
        && others.contains { name.hasPrefix($0) && !view.prefix.hasPrefix($0) || $0.isEmpty }
      if isOther {
        unmatched.append(.init(name: name, reason: "another network"))
      } else if let reason = OffPathTensors.reason(name, prefix: view.prefix, isPart: isPart) {
        unmatched.append(.init(name: name, reason: reason))
      } else {
        unknown.append(name)
      }
    }
  }

  /// Writes the account into a report.
  ///
  /// - Throws: ``ModelError`` of kind `unexpected` for a tensor that may bear on the output.
  func write(to report: inout LoadReport) throws(ModelError) {
    report.matched = matched.count
    report.ignored = ignored
    report.unused = unmatched
    guard let name = unknown.first else { return }
    let more = unknown.dropFirst()
    let rest =
      more.isEmpty
      ? "" : " (and \(more.count) more: \(more.prefix(5).joined(separator: ", ")))"
    throw ModelError(
      .unexpected, place: "tensor \"\(name)\"\(rest)",
      found: "a part that \(report.architecture) does not have and that may bear on the output",
      expected: "nothing else but heads, decoders and what training leaves",
      advice: "The weights are of an architecture that is not supported; if you know that the "
        + "tensor has no part in it, leave it out by `ignored` '\(name)'")
  }

  /// `blocks.3` of `blocks.3.attn.qkv.weight`: everything up to the first number, in the network's own
  /// names.
  private static func block(_ name: String, _ prefix: String) -> Substring? {
    guard name.hasPrefix(prefix) else { return nil }
    let own = name.dropFirst(prefix.count)
    var end = own.startIndex
    for component in own.split(separator: ".") {
      end = component.endIndex
      if component.last?.isNumber == true, component.endIndex != own.endIndex {
        return own[..<end]
      }
    }
    return nil
  }

  /// The module of a head that a tensor is in, with what stands before it: what else is in the module of a
  /// head that is used, is on the way to the logits.
  private static func head(_ name: String) -> Substring? {
    for component in name.split(separator: ".").dropLast()
    where ["head", "heads", "fc", "classifier"].contains(component) {
      return name[..<component.endIndex]
    }
    return nil
  }
}
