import Checkpoints
import StrictJSON
import Synchronization

/// The tensors of a checkpoint seen through a key mapping: shapes and values by canonical name.
public struct WeightsView: Sendable {
  /// The key mapping of the names.
  public let keyMapping: KeyMapping
  /// The prefix that names carry in the file, after wrappers' prefixes were stripped; may be empty.
  public let prefix: String
  /// `config.json`, if it is there.
  public let config: JSONValue?

  let contents: CheckpointContents

  /// The tensors of a parameter, and what is done with them.
  typealias Found = (entries: [TensorEntry], transform: KeyMapping.Transform)
  /// What was found by each canonical name so far: every variant of a family asks for the same names.
  private let finds = Finds()

  /// Sees what stands under a prefix through a key mapping.
  init(_ contents: CheckpointContents, keyMapping: KeyMapping, prefix: String) {
    self.contents = contents
    let names = contents.names.map { name in
      !prefix.isEmpty && name.hasPrefix(prefix) ? String(name.dropFirst(prefix.count)) : name
    }
    self.keyMapping = keyMapping.reading(names)
    self.prefix = prefix
    config = contents.config
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
    func place() -> String { "tensor \"\(foreignName(canonical))\"" }
    guard let shape = shape(canonical) else {
      throw ModelError(
        .missing, place: place(), found: "no such tensor",
        expected: "one of \(rank) axes",
        advice: "The file is incomplete, or of a network that is not supported; features of any "
          + "network can be read from a file")
    }
    guard shape.count == rank, !shape.contains(0) else {
      throw ModelError(
        .unreadable, place: place(), found: "shape \(shape)",
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
  func find(_ canonical: String) -> Found? { finds(canonical) { search(canonical) } }

  private func search(_ canonical: String) -> Found? {
    let isHead = Self.heads.contains(String(canonical.prefix { $0 != "." }))
    for recipe in keyMapping.recipes(for: canonical) {
      let entries = recipe.names.compactMap { contents.entry(prefix, $0, isHead: isHead) }
      if entries.count == recipe.names.count { return (entries, recipe.transform) }
    }
    guard isHead, let layer = headLayer(canonical),
      let parameter = canonical.split(separator: ".").last,
      let entry = contents.entry("\(layer).\(parameter)")
    else { return nil }
    return ([entry], .rows)
  }

  /// Canonical names of classification heads.
  private static let heads: Set = ["head", "head_dist", "fc"]

  /// The linear layer of a head that is a list of layers (dropout and one linear layer, as in many recipes
  /// of fine-tuning), without `.weight`; nil if the head is a plain layer, or none.
  var headLayer: String? {
    for head in ["head", "fc"] {
      let names = keyMapping.recipes(for: "\(head).weight").flatMap(\.names)
      let isPlain = names.contains { contents.entry(prefix, $0, isHead: true) != nil }
      if !isPlain, let layer = headLayer("\(head).weight") { return layer }
    }
    return nil
  }

  private func headLayer(_ canonical: String) -> String? {
    guard let head = canonical.split(separator: ".").first, head != "head_dist" else { return nil }
    for name in keyMapping.recipes(for: "\(head).weight").flatMap(\.names) {
      let module = name.split(separator: ".").dropLast()
      for length in [module.count, module.count - 1] where length > 0 {
        let stem = module.prefix(length).joined(separator: ".")
        for outer in [prefix] + CheckpointContents.outer(prefix) {
          if let layer = contents.linearLayer(of: outer + stem) { return layer }
        }
      }
    }
    return nil
  }
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

/// Answers to questions by name, each found out once.
private final class Finds: Sendable {
  private let answers = Mutex<[String: WeightsView.Found?]>([:])

  func callAsFunction(_ name: String, _ search: () -> WeightsView.Found?) -> WeightsView.Found? {
    if let known = answers.withLock({ $0[name] }) { return known }
    let found = search()
    answers.withLock { $0[name] = .some(found) }
    return found
  }
}
