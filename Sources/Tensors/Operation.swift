/// One step of a computation, with the rule of its derivative.
///
/// The rule (`vjp`) is written in operations, so that it can be differentiated again: Hessian-vector
/// products need nothing else. An operation's parameters are its stored properties.
protocol Operation: Sendable {
  /// The shape of the result.
  ///
  /// - Precondition: the shapes of the inputs fit; a message names both.
  func outputShape(_ x: [Shape]) -> Shape

  /// Writes the result into `y`; may return tensors that the derivative needs.
  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor]

  /// The cotangents of the inputs, given that of the result; nil where there is none.
  ///
  /// - Parameters:
  ///   - needs: which inputs' cotangents are wanted; others may be nil.
  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]

  /// The values that `vjp` reads when the cotangents marked in `needs`, or some of them, are wanted.
  /// Others are not kept in memory; `vjp` sees their shapes.
  func kept(needs: [Bool]) -> SavedValues

  /// Multiply-adds of the forward step.
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int

  /// Whether the result is the first input's memory under another shape.
  var isView: Bool { get }
}

extension Operation {
  func kept(needs: [Bool]) -> SavedValues { .everything }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { 0 }
  var isView: Bool { false }

  /// Carries the operation out, or only counts it when an input is abstract.
  func callAsFunction(_ inputs: Tensor...) -> Tensor { apply(inputs) }

  func apply(_ inputs: [Tensor]) -> Tensor {
    let shapes = inputs.map(\.shape)
    let shape = outputShape(shapes)
    var result: Tensor
    var saved: [Tensor] = []
    let meter = inputs.lazy.compactMap(\.meter).first
    if isView, let first = inputs.first {
      result = Tensor(shape: shape, storage: first.storage, offset: first.offset)
    } else if let meter {
      result = Tensor(abstract: shape, meter: meter)
      meter.add(multiplyAdds: multiplyAdds(shapes, shape))
    } else {
      result = Tensor(uninitialized: shape)
      saved = forward(inputs, into: result)
    }
    if inputs.contains(where: \.isTracked) {
      // Abstract tensors have no history, but take the steps of those that have.
      let node =
        meter == nil ? Node(self, inputs: inputs, output: result, saved: saved) : Node()
      result = Tensor(shape: shape, storage: result.storage, offset: result.offset, node: node)
    }
    return result
  }
}

/// An operation whose result can be added to what is there.
protocol SummableOperation: Operation {
  /// Adds the result to `y`.
  func forward(_ x: [Tensor], addingTo y: Tensor)
}

extension SummableOperation {
  /// The operation as a cotangent, carried out where its result is summed.
  func deferred(_ inputs: Tensor...) -> any Cotangent {
    LazyCotangent(operation: self, inputs: inputs)
  }
}
