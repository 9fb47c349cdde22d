import Checkpoints

/// Which values of a graph share memory and when each is read for the last time: what a change in place bears
/// on.
struct GraphMemory {
  /// A value that is a part of another, or another look at it.
  struct View {
    /// The operation that made it.
    let node: ExportedProgram.Node
    /// What it is a view of.
    let source: String
  }

  /// The first of the names that share memory.
  private var roots: [String: String] = [:]
  /// All of them, by the first.
  private var members: [String: [String]] = [:]
  private var views: [String: View] = [:]
  /// The last operation that reads each name; their number for what is a result.
  private var lastReads: [String: Int] = [:]

  init(_ program: ExportedProgram, needed: [Bool]) {
    for (index, node) in program.nodes.enumerated() {
      noteSharing(node)
      guard needed[index] else { continue }
      for name in node.read { lastReads[name] = index }
    }
    for name in program.results { lastReads[name] = program.nodes.count }
  }

  private mutating func noteSharing(_ node: ExportedProgram.Node) {
    let operation = AtenCall.base(of: node.target).name
    let isView =
      AtenOperations.viewing.contains(operation) && !AtenOperations.copying.contains(operation)
    guard isView || AtenCall.isInPlace(node.target),
      case .tensor(let source)? = node.arguments.first?.value
    else { return }
    let first = roots[source] ?? source
    for name in node.made.sorted() {
      roots[name] = first
      members[first, default: [first]].append(name)
      if isView { views[name] = View(node: node, source: source) }
    }
  }

  /// The names that may share memory with one, itself among them.
  func sharing(_ name: String) -> [String] { members[roots[name] ?? name] ?? [] }

  /// What a name is a view of; nil for what has memory of its own.
  func view(_ name: String) -> View? { views[name] }

  func isRead(_ name: String, after index: Int) -> Bool { lastReads[name] ?? -1 > index }
}
