/// Which dictionary of tensors of a training file is taken.
public enum CheckpointEntry: Sendable, Hashable {
  /// The likeliest: averaged weights before others, a teacher before its student, names of weights
  /// before other names.
  case automatic
  /// Averaged weights; a file without any is refused.
  case averaged
  /// The one under a key, or under keys joined by "/".
  case named(String)
}

/// What a dictionary of tensors is likely to be, by the keys that lead to it; earlier kinds are taken
/// before later ones.
public enum EntryKind: Int, Sendable, Comparable, CaseIterable {
  /// Weights averaged over training: `state_dict_ema`, `model_ema`, `teacher`.
  case averaged
  /// Weights: `state_dict`, `model`, `net`, `module`.
  case weights
  /// The dictionary that is the file itself, with tensors beside other things.
  case whole
  /// Under another key.
  case other
  /// A network that another one was made of: `student`.
  case student

  /// Earlier kinds are taken first.
  public static func < (a: EntryKind, b: EntryKind) -> Bool { a.rawValue < b.rawValue }

  private static let weightNames: Set = [
    "state_dict", "model", "model_state_dict", "module", "net", "network", "params", "weights",
    "state", "model_state", "model_weights", "net_state_dict", "backbone", "encoder", "state_dicts",
  ]

  /// The kind of what stands under keys, or under the components of a prefix.
  public init(_ path: [String]) {
    let names = path.map { $0.lowercased() }
    if names.contains(where: EntryKind.isAveraged) {
      self = .averaged
    } else if names.contains(where: { $0.split(separator: "_").contains("student") }) {
      self = .student
    } else if names.isEmpty {
      self = .whole
    } else {
      self = names.allSatisfy(Self.weightNames.contains) ? .weights : .other
    }
  }

  /// Whether a name, of a key or of a module, stands for weights that were averaged over training.
  public static func isAveraged(_ name: String) -> Bool {
    let words = name.lowercased().split { $0 == "_" || $0 == "-" }
    return words.contains { ["ema", "teacher", "swa", "averaged", "polyak"].contains($0) }
  }
}

/// Every dictionary of tensors in what a training script saved.
struct TorchEntries {
  private typealias Reference = PickleGraph.Reference
  typealias Pairs = [(key: PickleGraph.Reference, value: PickleGraph.Reference)]

  /// A dictionary of tensors.
  struct Found {
    var path: [String]
    var tensors: Int

    var described: TorchContents.Entry {
      TorchContents.Entry(
        name: path.joined(separator: "/"), kind: EntryKind(path), tensors: tensors)
    }
  }

  /// What training leaves beside weights: never looked into.
  private static let training = [
    "optim", "scheduler", "scaler", "callbacks", "loops", "rng", "hyper_parameters",
    "hparams", "args", "config",
  ]
  private static let maximumDepth = 3
  private static let maximumVisits = 1_000_000
  private static let maximumFound = 256

  /// Those that were found, in the order in which they are taken.
  let found: [Found]

  init(graph: PickleGraph, isTensor: (PickleGraph.Reference) -> Bool) {
    var found: [Found] = []
    var seen: Set<Reference> = []
    var visits = 0
    var next: [(path: [String], reference: Reference)] = [([], graph.root)]
    var place = 0
    // Breadth first, each dictionary once however many refer to it.
    while place < next.count, found.count < Self.maximumFound {
      let (path, reference) = next[place]
      place += 1
      guard seen.insert(reference).inserted, let pairs = graph.pairs(reference) else { continue }
      visits += pairs.count
      guard visits <= Self.maximumVisits else { break }
      // The state of an optimizer.
      if pairs.contains(where: { graph.string($0.key) == "param_groups" }) { continue }
      var tensors = 0
      for (key, value) in pairs {
        guard let name = graph.string(key) else { continue }
        if isTensor(value) {
          tensors += 1
        } else if path.count < Self.maximumDepth, case .dictionary = graph[value],
          !Self.training.contains(where: { name.lowercased().contains($0) }),
          next.count < Self.maximumVisits
        {
          next.append((path + [name], value))
        }
      }
      if tensors > 0 { found.append(Found(path: path, tensors: tensors)) }
    }
    self.found = found.enumerated().sorted {
      (EntryKind($0.element.path), $0.offset) < (EntryKind($1.element.path), $1.offset)
    }.map(\.element)
  }

  /// The entry that was asked for; nil if there is none at all.
  func choose(_ choice: CheckpointEntry, file: String) throws(CheckpointError) -> Found? {
    guard !found.isEmpty else { return nil }
    func failure(_ what: String) -> CheckpointError {
      CheckpointError(
        .missing, file: file, found: what,
        expected: "one of "
          + found.prefix(12).map(\.described.title).joined(separator: ", "))
    }
    switch choice {
    case .automatic: return found.first
    case .averaged:
      guard let first = found.first, EntryKind(first.path) == .averaged else {
        throw failure("no averaged (EMA) weights")
      }
      return first
    case .named(let name):
      if let exact = found.first(where: { $0.path.joined(separator: "/") == name }) {
        return exact
      }
      let within = found.filter { $0.path.last == name || $0.path.first == name }
      guard within.count == 1 else {
        throw failure(
          within.isEmpty ? "no entry \"\(name)\" of tensors" : "several entries \"\(name)\"")
      }
      return within[0]
    }
  }

  /// The last value given to a key, as Python keeps it.
  static func value(
    _ key: String, in pairs: Pairs, _ graph: PickleGraph
  ) -> PickleGraph.Reference? {
    pairs.last { graph.string($0.key) == key }?.value
  }
}
