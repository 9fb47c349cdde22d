import Checkpoints
import StrictJSON

/// Looks for a network in what a file holds: for an entry, and for a prefix in it, under which the names
/// that a family always has are there.
enum NetworkSearch {
  /// A network that was found.
  struct Found {
    let family: any ModelConfiguration.Type
    let view: WeightsView
    /// How it was chosen among several; empty if there was no choice.
    var notes: [String] = []
    /// Prefixes of other networks in the same entry.
    var others: [String] = []
  }

  /// The network of a checkpoint.
  ///
  /// - Throws: ``ModelError`` if there is none, or if there are several and nothing says which.
  static func find(
    in checkpoint: Checkpoint, _ selection: WeightsSelection
  ) throws(ModelError) -> Found {
    let first = Result { () throws(ModelError) in
      try network(in: CheckpointContents(checkpoint, ignoring: selection.ignored), selection)
    }
    guard selection.entry == .automatic, let torch = checkpoint.torch, torch.entries.count > 1
    else { return try first.get() }
    // Entries of the likeliest kind that holds a network.
    for kind in EntryKind.allCases {
      var found: [(entry: TorchContents.Entry, result: Result<Found, ModelError>)] = []
      for entry in torch.entries where entry.kind == kind {
        let result =
          entry == torch.entry ? first : network(of: entry, checkpoint.path, selection)
        if case .failure(let error) = result, error.kind == .unrecognised { continue }
        found.append((entry, result))
      }
      guard let one = found.first else { continue }
      guard found.count == 1 else {
        throw ModelError(
          .undetermined,
          found: "networks in several entries: " + found.map(\.entry.title).joined(separator: ", "),
          expected: "one", advice: "Choose it by `entry`")
      }
      return try one.result.get()
    }
    return try first.get()
  }

  private static func network(
    of entry: TorchContents.Entry, _ path: String, _ selection: WeightsSelection
  ) -> Result<Found, ModelError> {
    Result { () throws(ModelError) in
      let checkpoint: Checkpoint
      do throws(CheckpointError) {
        checkpoint = try Checkpoint.open(path, entry: .named(entry.name))
      } catch {
        throw ModelError(.unrecognised, place: "entry \(entry.title)", found: "\(error)")
      }
      return try network(
        in: CheckpointContents(checkpoint, ignoring: selection.ignored), selection)
    }
  }

  // MARK: One entry

  static func network(
    in contents: CheckpointContents, _ selection: WeightsSelection
  ) throws(ModelError) -> Found {
    if let foreign = ForeignWeights.first(in: contents.names) { throw foreign }
    let candidates = candidates(in: contents)
    if let prefix = selection.dottedPrefix {
      guard var one = candidates.first(where: { $0.view.prefix == prefix }) else {
        throw ModelError(
          .badArgument, place: "`prefix` \(prefix)", found: "no network of a known family there",
          expected: candidates.isEmpty
            ? "" : "one of " + candidates.map { title($0.view.prefix) }.joined(separator: ", "))
      }
      one.others = candidates.map(\.view.prefix).filter { $0 != prefix }
      return one
    }
    guard var one = candidates.first else { throw unrecognised(contents) }
    guard candidates.count > 1 else { return one }
    if let same = sameTensors(candidates, contents) { return same }
    let (chosen, reason) = try choose(among: candidates.map(\.view.prefix))
    one = candidates[chosen]
    one.others = candidates.map(\.view.prefix).filter { $0 != one.view.prefix }
    one.notes.append(
      "the weights are those under the prefix \(title(one.view.prefix)), \(reason); the file also "
        + "has networks under \(one.others.map(title).joined(separator: ", ")) (`prefix` takes "
        + "another)")
    return one
  }

  /// Every prefix under which a family's signature fits, with the first such family, in the order of
  /// the file.
  private static func candidates(in contents: CheckpointContents) -> [Found] {
    var found: [Found] = []
    var prefixes: Set<String> = []
    for family in ModelRegistry.families {
      for keyMapping in family.keyMappings {
        guard let first = keyMapping.signature.first else { continue }
        for name in contents.names where name.hasSuffix(first) {
          let prefix = String(name.dropLast(first.count))
          guard prefix.isEmpty || prefix.hasSuffix(".") || prefix.hasSuffix("/"),
            !prefixes.contains(prefix),
            keyMapping.signature.allSatisfy({ contents.entry(prefix + $0) != nil })
          else { continue }
          prefixes.insert(prefix)
          found.append(
            Found(
              family: family, view: WeightsView(contents, keyMapping: keyMapping, prefix: prefix)))
        }
      }
    }
    return found
  }

  /// The first of several networks that are one under several names; nil if they are not.
  private static func sameTensors(_ candidates: [Found], _ contents: CheckpointContents) -> Found? {
    guard var first = candidates.first else { return nil }
    func parts(_ prefix: String) -> [String] {
      contents.names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }
    let own = parts(first.view.prefix)
    for other in candidates.dropFirst() {
      let prefix = other.view.prefix
      guard !prefix.isEmpty, !first.view.prefix.isEmpty, parts(prefix) == own,
        own.allSatisfy({ name in
          guard let a = contents.entry(first.view.prefix + name),
            let b = contents.entry(prefix + name)
          else { return false }
          return a.isSameData(as: b)
        })
      else { return nil }
    }
    first.others = candidates.dropFirst().map(\.view.prefix)
    first.notes.append(
      "the same tensors stand under the prefixes "
        + candidates.map { title($0.view.prefix) }.joined(separator: ", "))
    return first
  }

  /// Encoders trained in pairs whose names say no more: the one that the framework's own evaluation
  /// takes, and the other.
  private static let pairs = [
    ("encoder_q", "encoder_k", "which MoCo's own evaluation takes"),
    ("base_encoder", "momentum_encoder", "which MoCo v3's own evaluation takes"),
    ("online_encoder", "target_encoder", "which BYOL's own evaluation takes"),
    ("backbone", "backbone_momentum", "which lightly's own evaluation takes"),
    ("image_encoder", "text_encoder", "of images"),
    ("visual", "text", "of images"),
  ]

  /// One of several prefixes, if their names say which: averaged weights before others, a teacher before
  /// its student.
  static func choose(
    among prefixes: [String]
  ) throws(ModelError) -> (index: Int, reason: String) {
    let components = prefixes.map { $0.split(separator: ".").map(String.init) }
    let kinds = components.map { EntryKind($0.isEmpty ? [""] : $0) }
    let averaged = kinds.indices.filter { kinds[$0] == .averaged }
    if averaged.count == 1 {
      return (averaged[0], "averaged weights or a teacher, which are taken before others")
    }
    let taught = kinds.indices.filter { kinds[$0] != .student }
    if averaged.isEmpty, taught.count == 1 {
      return (taught[0], "which is taken before a student")
    }
    if prefixes.count == 2 {
      for (wanted, other, reason) in pairs {
        for (a, b) in [(0, 1), (1, 0)]
        where components[a].contains(wanted) && components[b].contains(other)
          && components[a].filter({ $0 != wanted }) == components[b].filter({ $0 != other })
        { return (a, reason) }
      }
    }
    throw ModelError(
      .undetermined,
      found: "networks under several prefixes: " + prefixes.map(title).joined(separator: ", "),
      expected: "one", advice: "Choose it by `prefix`")
  }

  private static func title(_ prefix: String) -> String { prefix.isEmpty ? "\"\"" : prefix }

  // MARK: None

  private static func unrecognised(_ contents: CheckpointContents) -> ModelError {
    let said =
      contents.config?["architecture"]?.stringValue
      ?? contents.config?["architectures"]?.arrayValue?.first?.stringValue
      ?? contents.config?["model_type"]?.stringValue
    let origin = said.map { "; config.json says \"\($0)\"" } ?? ""
    for family in ModelRegistry.families {
      if let reason = family.reasonAgainst(names: contents.names) {
        return ModelError(.unrecognised, found: reason + origin)
      }
    }
    let some = contents.names.prefix(5).joined(separator: ", ")
    return ModelError(
      .unrecognised,
      found: "weights of no known family (\(contents.names.count) tensors: \(some)…)"
        + origin,
      expected: "one of " + ModelRegistry.families.map { $0.family }.joined(separator: ", "),
      advice: "A file of features needs no architecture: save one tensor a layer instead")
  }
}

/// Weights that are told by their names and are not those of a network by themselves.
enum ForeignWeights {
  private static let table: [(pattern: String, found: String, advice: String)] = [
    (
      "*lora_*", "an adapter (LoRA), which changes the weights of another file",
      "Merge it into its base model (merge_and_unload) and save that"
    ),
    (
      "*.lora.*", "an adapter (LoRA), which changes the weights of another file",
      "Merge it into its base model (merge_and_unload) and save that"
    ),
    (
      "*.ia3_*", "an adapter (IA3), which changes the weights of another file",
      "Merge it into its base model (merge_and_unload) and save that"
    ),
    (
      "*_flat_param", "weights flattened by FSDP",
      "Save the full state dict (FULL_STATE_DICT), or consolidate the shards first"
    ),
    (
      "*.quant_state.*", "weights quantised by bitsandbytes",
      "Save the model before it is quantised"
    ),
    ("*.qweight", "quantised weights (GPTQ or AWQ)", "Use the weights before they were quantised"),
    (
      "*.weight_packed", "quantised weights (compressed-tensors)",
      "Use the weights before they were quantised"
    ),
    (
      "*._packed_params*", "weights quantised by torch.ao", "Save the model before it is quantised"
    ),
    ("*exp_avg_sq", "the state of an optimizer", "Name the file with the weights"),
    ("*.Adam", "the state of an optimizer", "Name the file with the weights"),
  ]

  /// The error for the first tensor of such a name; nil if there is none.
  static func first(in names: [String]) -> ModelError? {
    for (pattern, found, advice) in table {
      if let name = names.first(where: { matches($0, pattern) }) {
        return ModelError(
          .unexpected, place: "tensor \"\(name)\"", found: found, expected: "weights of a network",
          advice: advice)
      }
    }
    return nil
  }
}
