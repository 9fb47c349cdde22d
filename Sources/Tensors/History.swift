import Synchronization

/// How a tracked tensor was made: an operation and its inputs, or nothing for a leaf.
final class Node: @unchecked Sendable {
  struct Origin {
    let operation: any Operation
    /// With values only where the rule of the derivative reads them.
    let inputs: [Tensor]
    /// Without a node of its own, and with values only if the rule reads them.
    let output: Tensor
  }

  /// Grows with every node made: inputs always have smaller numbers than what is made from them.
  let order: Int
  private(set) var origin: Origin?

  private static let counter = Atomic<Int>(0)

  /// A tensor to differentiate by.
  init() {
    order = Self.counter.add(1, ordering: .relaxed).newValue
    origin = nil
  }

  init(_ operation: any Operation, inputs: [Tensor], output: Tensor) {
    order = Self.counter.add(1, ordering: .relaxed).newValue
    let kept = operation.kept(needs: inputs.map(\.isTracked))
    origin = Origin(
      operation: operation,
      inputs: inputs.enumerated().map { kept.contains(.input($0)) ? $1 : $1.withoutValues() },
      output: kept.contains(.output) ? output : output.withoutValues())
  }

  /// Frees a long chain of nodes in a loop: released one inside the other, 50,000 of them overflow
  /// the stack.
  deinit {
    var pending = takeParents()
    while var node = pending.popLast() {
      if isKnownUniquelyReferenced(&node) { pending.append(contentsOf: node.takeParents()) }
    }
  }

  /// Forgets the origin and gives back the nodes it held, which then nothing else here refers to.
  private func takeParents() -> [Node] {
    defer { origin = nil }
    return origin?.inputs.compactMap(\.node) ?? []
  }
}

/// The values that the rule of an operation's derivative reads; the others need not be kept.
struct SavedValues: OptionSet {
  let rawValue: UInt32
  static let output = SavedValues(rawValue: 1 << 31)
  static let first = input(0)
  static let second = input(1)
  static let everything = SavedValues(rawValue: .max)

  static func input(_ index: Int) -> SavedValues { SavedValues(rawValue: 1 << UInt32(index)) }

  /// What an operation linear in each of two inputs reads: the other one.
  static func ofBilinear(_ needs: [Bool]) -> SavedValues {
    (needs[0] ? second : []).union(needs[1] ? first : [])
  }
}

/// What a rule gives as a cotangent: a tensor, or the promise of one.
protocol Cotangent {
  /// The cotangent as a tensor.
  func evaluated() -> Tensor

  /// Adds the cotangent to `sum`, which nobody else holds.
  func add(to sum: Tensor)
}

extension Tensor: Cotangent {
  func evaluated() -> Tensor { self }
  func add(to sum: Tensor) { sum.accumulate(self) }
}

/// An operation to be carried out when its place is known: a product is then added to a sum without
/// a tensor of its own.
struct LazyCotangent<Step: SummableOperation>: Cotangent {
  let operation: Step
  let inputs: [Tensor]
  func evaluated() -> Tensor { operation.apply(inputs) }
  func add(to sum: Tensor) { operation.forward(inputs, addingTo: sum) }
}

/// A reverse pass prepared for given roots and variables; it can be run any number of times.
struct ReversePass: Sendable {
  /// The nodes on a path from a root to a variable, oldest first.
  private let nodes: [Node]
  /// For each node, where its inputs are among the nodes; nil for those that lead to no variable.
  private let inputs: [[Int?]]
  private let roots: [Int?]
  private let variables: [Int?]

  init(from roots: [Tensor], to variables: [Tensor]) {
    // Nothing older than the oldest variable can lead to one.
    let oldest = variables.compactMap(\.node?.order).min() ?? .max
    var found: [ObjectIdentifier: Node] = [:]
    var stack = roots.compactMap(\.node)
    while let node = stack.popLast() {
      guard node.order >= oldest, found.updateValue(node, forKey: .init(node)) == nil else {
        continue
      }
      stack.append(contentsOf: node.origin?.inputs.compactMap(\.node) ?? [])
    }
    let wanted = Set(variables.compactMap { $0.node.map(ObjectIdentifier.init) })
    var places: [ObjectIdentifier: Int] = [:]
    var nodes: [Node] = []
    var inputs: [[Int?]] = []
    for node in found.values.sorted(by: { $0.order < $1.order }) {
      let from = (node.origin?.inputs ?? []).map { $0.node.flatMap { places[.init($0)] } }
      guard wanted.contains(.init(node)) || from.contains(where: { $0 != nil }) else { continue }
      places[.init(node)] = nodes.count
      nodes.append(node)
      inputs.append(from)
    }
    self.nodes = nodes
    self.inputs = inputs
    self.roots = roots.map { $0.node.flatMap { places[.init($0)] } }
    self.variables = variables.map { $0.node.flatMap { places[.init($0)] } }
  }

  /// Cotangents of the variables, given those of the roots.
  func run(_ cotangents: [Tensor], recording: Bool) -> [Tensor?] {
    var sums = [Tensor?](repeating: nil, count: nodes.count)
    func accumulate(_ part: any Cotangent, at index: Int) {
      // Taken out of the table, a sum that nobody else holds is known to be so.
      guard var sum = sums[index].take() else {
        sums[index] = part.evaluated()
        return
      }
      if recording {
        sums[index] = sum + part.evaluated()
      } else if sum.isUniquelyOwned() {
        part.add(to: sum)
        sums[index] = sum
      } else {
        sums[index] = sum + part.evaluated()
      }
    }
    for (place, cotangent) in zip(roots, cotangents) {
      if let place { accumulate(recording ? cotangent : cotangent.detached(), at: place) }
    }
    let wanted = Set(variables.compactMap(\.self))
    for index in nodes.indices.reversed() {
      let node = nodes[index]
      guard let origin = node.origin, let dy = sums[index] else { continue }
      if !wanted.contains(index) { sums[index] = nil }
      let y =
        recording
        ? Tensor(
          shape: origin.output.shape, storage: origin.output.storage, offset: origin.output.offset,
          node: node) : origin.output
      let parts = origin.operation.vjp(
        recording ? origin.inputs : origin.inputs.map { $0.detached() }, y, dy,
        needs: inputs[index].map { $0 != nil })
      for (place, part) in zip(inputs[index], parts) {
        if let place, let part { accumulate(part, at: place) }
      }
    }
    return variables.map { $0.flatMap { sums[$0] } }
  }
}

/// Cotangents of `variables` given those of `roots`: the reverse pass.
///
/// With `recording`, the results are tracked themselves (every rule is made of operations) and can be
/// differentiated again; without it, memory is freed as the pass proceeds.
///
/// - Parameters:
///   - roots: results and their cotangents, of the same shapes.
///   - variables: tracked tensors, usually leaves.
/// - Returns: one cotangent a variable; nil where no root depends on it.
public func pullback(
  _ roots: [(value: Tensor, cotangent: Tensor)], withRespectTo variables: [Tensor],
  recording: Bool = false
) -> [Tensor?] {
  for (value, cotangent) in roots {
    precondition(
      value.shape == cotangent.shape,
      "Cotangent of shape \(cotangent.shape) for a value of shape \(value.shape)")
  }
  return ReversePass(from: roots.map(\.value), to: variables)
    .run(roots.map(\.cotangent), recording: recording)
}

/// The gradient of a scalar, zeros where it does not depend on a variable.
///
/// - Precondition: `scalar` has one value.
public func gradient(
  of scalar: Tensor, withRespectTo variables: [Tensor], recording: Bool = false
) -> [Tensor] {
  precondition(scalar.shape.count == 1, "A gradient needs a scalar, not shape \(scalar.shape)")
  let one = Tensor(repeating: 1, shape: scalar.shape)
  return zip(
    variables, pullback([(scalar, one)], withRespectTo: variables, recording: recording)
  ).map { $1 ?? Tensor(repeating: 0, shape: $0.shape) }
}
