import Synchronization

/// How a tracked tensor was made: an operation and its inputs, or nothing for a leaf.
final class Node: @unchecked Sendable {
  struct Origin {
    let operation: any Operation
    let inputs: [Tensor]
    let saved: [Tensor]
    let outputShape: Shape
    let outputStorage: Storage
    let outputOffset: Int
  }

  /// Grows with every node made: inputs always have smaller numbers than what is made from them.
  let order: Int
  private(set) var origin: Origin?

  private static let counter = Atomic<Int>(0)

  init(leaf shape: Shape) {
    order = Self.counter.add(1, ordering: .relaxed).newValue
    origin = nil
  }

  init(_ operation: any Operation, inputs: [Tensor], output: Tensor, saved: [Tensor]) {
    order = Self.counter.add(1, ordering: .relaxed).newValue
    origin = Origin(
      operation: operation, inputs: inputs, saved: saved, outputShape: output.shape,
      outputStorage: output.storage, outputOffset: output.offset)
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
  var nodes: [ObjectIdentifier: Node] = [:]
  var stack = roots.compactMap(\.value.node)
  while let node = stack.popLast() {
    guard nodes.updateValue(node, forKey: ObjectIdentifier(node)) == nil else { continue }
    for input in node.origin?.inputs ?? [] {
      if let next = input.node, nodes[ObjectIdentifier(next)] == nil { stack.append(next) }
    }
  }
  let ordered = nodes.values.sorted { $0.order < $1.order }
  // Only nodes on a path to a variable take part.
  var relevant = Set(variables.compactMap { $0.node.map(ObjectIdentifier.init) })
  let wanted = relevant
  for node in ordered {
    guard let origin = node.origin else { continue }
    let leads = origin.inputs.contains { $0.node.map { relevant.contains(.init($0)) } ?? false }
    if leads { relevant.insert(ObjectIdentifier(node)) }
  }

  var cotangents: [ObjectIdentifier: Tensor] = [:]
  func accumulate(_ cotangent: Tensor, to node: Node) {
    let key = ObjectIdentifier(node)
    guard relevant.contains(key) else { return }
    if let sum = cotangents[key] {
      cotangents[key] = sum + cotangent
    } else {
      cotangents[key] = cotangent
    }
  }
  for (value, cotangent) in roots {
    precondition(
      value.shape == cotangent.shape,
      "Cotangent of shape \(cotangent.shape) for a value of shape \(value.shape)")
    if let node = value.node { accumulate(cotangent, to: node) }
  }
  for node in ordered.reversed() {
    let key = ObjectIdentifier(node)
    guard let origin = node.origin, relevant.contains(key), let dy = cotangents[key] else {
      continue
    }
    if !wanted.contains(key) { cotangents[key] = nil }
    let needs = origin.inputs.map { $0.node.map { relevant.contains(.init($0)) } ?? false }
    let y = Tensor(
      shape: origin.outputShape, storage: origin.outputStorage, offset: origin.outputOffset,
      node: recording ? node : nil)
    let inputs = recording ? origin.inputs : origin.inputs.map { $0.detached() }
    let parts = origin.operation.vjp(
      inputs, y, origin.saved, recording ? dy : dy.detached(), needs: needs)
    for (input, part) in zip(origin.inputs, parts) {
      if let target = input.node, let part { accumulate(part, to: target) }
    }
  }
  return variables.map { variable in
    variable.node.flatMap { cotangents[ObjectIdentifier($0)] }
  }
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
