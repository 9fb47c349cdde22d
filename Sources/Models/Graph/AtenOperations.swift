import Checkpoints

/// What each operation of PyTorch amounts to: the one place where an operation is added, by its name and an
/// entry in the table of its kind.
enum AtenOperations {
  /// Makes steps, or values that are known, of one operation; gives its results in order. What it throws is a
  /// ``GraphError``.
  typealias Entry = @Sendable (AtenCall) throws -> [GraphOperand]

  /// By name, without namespace, overload and the mark of writing in place.
  static let table: [String: Entry] = {
    var table: [String: Entry] = [:]
    for part in [
      symbols, views, layouts, creation, writes, arithmetic, functions, products, maps,
      convolutions, sampling, reductions,
    ] { table.merge(part) { first, _ in first } }
    return table
  }()
}

/// The operations of a graph: which, how often, and where those stand that are not known.
public struct GraphOperations: Sendable {
  /// One operation.
  public struct Entry: Sendable, Equatable {
    /// Its name, `aten.conv2d.default`.
    public let name: String
    /// How often it is carried out.
    public let count: Int
    /// Whether it is known here.
    public let isKnown: Bool
    /// The modules that it stands in, in the order of the graph, each once.
    public let modules: [String]
  }

  /// Every operation, those that are carried out most often first.
  public let entries: [Entry]

  /// Those that are not known.
  public var unknown: [Entry] { entries.filter { !$0.isKnown } }

  /// The operations of a program.
  public init(_ program: ExportedProgram) {
    var found: [String: (count: Int, modules: [String], seen: Set<String>)] = [:]
    for node in program.nodes {
      var entry = found[node.target] ?? (0, [], [])
      entry.count += 1
      let module = node.module.isEmpty ? "the model itself" : node.module
      if entry.seen.insert(module).inserted { entry.modules.append(module) }
      found[node.target] = entry
    }
    entries = found.map { name, value in
      Entry(
        name: name, count: value.count,
        isKnown: ONNXOperations.table[name] != nil
          || AtenOperations.table[AtenCall.base(of: name).name] != nil
          || CoreOperations.names.contains(AtenCall.base(of: name).name),
        modules: value.modules)
    }.sorted { ($1.count, $0.name) < ($0.count, $1.name) }
  }
}
