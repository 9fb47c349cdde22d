/// What a pickle describes, as data: values in an arena that refer to each other by index.
///
/// Nothing is ever called or imported. A call that the pickle asks for is a ``Node/call`` node with
/// its function's name and arguments. The arena makes cycles harmless, and deep nesting costs no
/// stack, neither here nor when it is freed.
struct PickleGraph {
  /// An index into `nodes`.
  typealias Reference = Int32

  enum Node {
    case none
    case bool(Bool)
    case integer(Int)
    /// An integer beyond 64 bits.
    case hugeInteger
    case double(Double)
    case string(String)
    case bytes([UInt8])
    case tuple([Reference])
    case list([Reference])
    case set([Reference])
    /// Keys and values, alternating, in order of insertion.
    case dictionary([Reference])
    /// An index into `globals`.
    case global(Int32)
    /// A function or class and its arguments.
    case call(function: Reference, arguments: Reference)
    /// A reference to something outside of the pickle: torch's storages.
    case persistent(Reference)

    /// Adds items to a container; false for a node that is none of that kind.
    mutating func append(_ items: [Reference], isDictionary: Bool) -> Bool {
      // The array leaves the node while it grows: copied each time, items that come one by one would
      // take quadratic time.
      switch self {
      case .list(var content) where !isDictionary:
        self = .none
        content += items
        self = .list(content)
      case .set(var content) where !isDictionary:
        self = .none
        content += items
        self = .set(content)
      case .dictionary(var content) where isDictionary:
        self = .none
        content += items
        self = .dictionary(content)
      default: return false
      }
      return true
    }
  }

  /// The name of a Python function or class.
  struct Global: Hashable, CustomStringConvertible {
    var module: String
    var name: String
    var description: String { "\(module).\(name)" }
  }

  var nodes: [Node] = []
  var globals: [Global] = []
  /// State and items given to an object after it was made.
  var attached: [Reference: [Reference]] = [:]
  var root: Reference = 0

  subscript(reference: Reference) -> Node { nodes[Int(reference)] }

  func string(_ reference: Reference) -> String? {
    if case .string(let text) = self[reference] { text } else { nil }
  }

  func integer(_ reference: Reference) -> Int? {
    if case .integer(let value) = self[reference] { value } else { nil }
  }

  func tuple(_ reference: Reference) -> [Reference]? {
    if case .tuple(let items) = self[reference] { items } else { nil }
  }

  func global(_ reference: Reference) -> Global? {
    if case .global(let index) = self[reference] { globals[Int(index)] } else { nil }
  }

  func pairs(_ reference: Reference) -> [(key: Reference, value: Reference)]? {
    guard case .dictionary(let items) = self[reference] else { return nil }
    return stride(from: 0, to: items.count - 1, by: 2).map { (items[$0], items[$0 + 1]) }
  }

  /// The function's name and the arguments of a call.
  func call(_ reference: Reference) -> (function: Global, arguments: [Reference])? {
    guard case .call(let function, let arguments) = self[reference],
      let name = global(function), let items = tuple(arguments)
    else { return nil }
    return (name, items)
  }

  /// What kind of value this is, for messages.
  func kindName(_ reference: Reference) -> String {
    switch self[reference] {
    case .none: "None"
    case .bool: "a truth value"
    case .integer, .hugeInteger: "an integer"
    case .double: "a number"
    case .string: "a string"
    case .bytes: "bytes"
    case .tuple: "a tuple"
    case .list: "a list"
    case .set: "a set"
    case .dictionary: "a dictionary"
    case .global: "the name \(global(reference)?.description ?? "")"
    case .call: "an object made by \(call(reference)?.function.description ?? "something unnamed")"
    case .persistent: "a storage"
    }
  }
}
