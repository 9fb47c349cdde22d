import Checkpoints
import StrictJSON

/// The tensors of a checkpoint seen through a key mapping: shapes and values by canonical name.
public struct WeightsView: Sendable {
  /// The key mapping of the names.
  public let keyMapping: KeyMapping
  /// The prefix that names carry in the file, after wrappers' prefixes were stripped; may be empty.
  public let prefix: String
  /// `config.json`, if it is there.
  public let config: JSONValue?

  let contents: CheckpointContents

  init(_ contents: CheckpointContents, keyMapping: KeyMapping, prefix: String) {
    self.contents = contents
    self.keyMapping = keyMapping
    self.prefix = prefix
    config = contents.config
  }

  /// Sees a checkpoint through a keyMapping; nil if the key mapping's signature is not there.
  init?(_ contents: CheckpointContents, keyMapping: KeyMapping) {
    let prefix = keyMapping.prefixes.first { prefix in
      keyMapping.signature.allSatisfy { contents.entry(prefix, $0) != nil }
    }
    guard let prefix else { return nil }
    let names = contents.names.map { name in
      !prefix.isEmpty && name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
    }
    self.init(contents, keyMapping: keyMapping.reading(names), prefix: prefix)
  }

  /// The shape, as PyTorch stores it, of the parameter by a canonical name; nil if there is none. A
  /// matrix that stands for a patch projection keeps the shape it has in the file.
  public func shape(_ canonical: String) -> [Int]? {
    guard let found = find(canonical) else { return nil }
    let shapes = found.entries.map { found.transform.shape($0.shape) }
    guard let first = shapes.first else { return nil }
    if shapes.count == 1 { return first }
    guard !first.isEmpty else { return nil }
    let rows = shapes.reduce(0) { $0 + ($1.first ?? 0) }
    return [rows] + first.dropFirst()
  }

  /// The shape in the file of the first tensor that a parameter is made of.
  func rawShape(_ canonical: String) -> [Int]? { find(canonical)?.entries.first?.shape }

  /// As ``shape(_:)``, of that many axes only.
  public func shape(_ canonical: String, rank: Int) -> [Int]? {
    shape(canonical).flatMap { $0.count == rank ? $0 : nil }
  }

  /// Whether there is a parameter by a canonical name.
  public func has(_ canonical: String) -> Bool { find(canonical) != nil }

  /// How many members a list has: the first number for which `name(number)` does not exist.
  public func count(from first: Int = 0, _ name: (Int) -> String) -> Int {
    var number = first
    while has(name(number)) { number += 1 }
    return number - first
  }

  /// The shape of a parameter that has to be there with so many axes.
  ///
  /// - Throws: ``ModelError`` if it is not.
  public func require(_ canonical: String, rank: Int) throws(ModelError) -> [Int] {
    let name = foreignName(canonical)
    guard let shape = shape(canonical) else {
      throw ModelError(
        .missing, place: "tensor \"\(name)\"", found: "no such tensor",
        expected: "one of \(rank) axes",
        advice: "The file is incomplete, or of a network that is not supported; features of any "
          + "network can be read from a file")
    }
    guard shape.count == rank, !shape.contains(0) else {
      throw ModelError(
        .unreadable, place: "tensor \"\(name)\"", found: "shape \(shape)",
        expected: "\(rank) axes, none of them empty")
    }
    return shape
  }

  /// What a parameter is called in the file.
  func foreignName(_ canonical: String) -> String {
    let recipes = keyMapping.recipes(for: canonical)
    let names = find(canonical)?.entries.map(\.name) ?? recipes.first?.names.map { prefix + $0 }
    return (names ?? [canonical]).joined(separator: " + ")
  }

  /// The tensors that make a parameter, if all of them are there.
  func find(_ canonical: String) -> (entries: [TensorEntry], transform: KeyMapping.Transform)? {
    for recipe in keyMapping.recipes(for: canonical) {
      let entries = recipe.names.compactMap { contents.entry(prefix, $0) }
      if entries.count == recipe.names.count { return (entries, recipe.transform) }
    }
    return nil
  }
}

/// The tensors of a checkpoint by cleaned name.
struct CheckpointContents: Sendable {
  let checkpoint: Checkpoint
  /// Cleaned names in the order of the file.
  let names: [String]
  private let entries: [String: TensorEntry]

  var config: JSONValue? { checkpoint.config }

  init(_ checkpoint: Checkpoint) throws(ModelError) {
    let cleaned = CleanedNames(checkpoint.tensors.map(\.name))
    if let name = cleaned.collisions.first {
      throw ModelError(
        .unreadable, place: "tensor \"\(name)\"",
        found: "two tensors of that name once wrappers' prefixes are stripped",
        expected: "the weights of one model")
    }
    self.checkpoint = checkpoint
    names = cleaned.names
    entries = Dictionary(
      zip(cleaned.names, checkpoint.tensors), uniquingKeysWith: { first, _ in first })
  }

  /// The tensor by a name that may carry a prefix: a classification head stands outside of it.
  func entry(_ prefix: String, _ name: String) -> TensorEntry? {
    entries[prefix + name] ?? (prefix.isEmpty ? nil : entries[name])
  }

  func entry(_ name: String) -> TensorEntry? { entries[name] }
}

extension WeightsView {
  /// Checks a number of `config.json`, if it is there, against what the shapes say.
  ///
  /// - Throws: ``ModelError`` with both.
  public func requireSetting(_ name: String, _ value: Int) throws(ModelError) {
    guard let declared = config?[name]?.intValue, declared != value else { return }
    throw ModelError(
      .conflict, place: "config.json: \(name)", found: "\(declared)",
      expected: "\(value), as the shapes of the tensors say",
      advice: "The settings and the weights do not belong together")
  }
}
