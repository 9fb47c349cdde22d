/// One step of a computation, with the rule of its derivative.
///
/// The rule (`vjp`) is written in operations, so that it can be differentiated again: Hessian-vector
/// products need nothing else. An operation's parameters are its stored properties.
protocol Operation: Sendable {
  /// The shape of the result.
  ///
  /// - Precondition: the shapes of the inputs fit; a message names both.
  func outputShape(_ x: [Shape]) -> Shape

  /// Writes the result into `y`.
  func forward(_ x: [Tensor], into y: Tensor)

  /// The cotangents of the inputs, given that of the result; nil where there is none.
  ///
  /// - Parameters:
  ///   - needs: which inputs' cotangents are wanted; others may be nil.
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?]

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
    let meter = inputs.lazy.compactMap(\.meter).first
    var result: Tensor
    if isView, let first = inputs.first {
      result = Tensor(shape: shape, storage: first.storage, offset: first.offset)
    } else {
      result = Tensor(computed: shape, meter, multiplyAdds: multiplyAdds(shapes, shape)) {
        forward(inputs, into: $0)
      }
    }
    if inputs.contains(where: \.isTracked) {
      // Abstract tensors have no history, but take the steps of those that have.
      let node = meter == nil ? Node(self, inputs: inputs, output: result) : Node()
      result = Tensor(shape: shape, storage: result.storage, offset: result.offset, node: node)
    }
    return result
  }
}

extension Tensor {
  /// New memory that `fill` writes, or a result that is only counted where there is a meter.
  init(
    computed shape: Shape, _ meter: Meter?, multiplyAdds: @autoclosure () -> Int,
    fill: (Tensor) -> Void
  ) {
    guard let meter else {
      self.init(uninitialized: shape)
      fill(self)
      return
    }
    self.init(abstract: shape, meter: meter)
    meter.add(multiplyAdds: multiplyAdds())
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

/// An operation recorded whole, though there are steps that it is made of: its derivative is theirs, but
/// where a faster way is declared.
protocol SweptOperation: Operation {
  /// The same function in operations that have rules of their own.
  func steps(_ x: [Tensor]) -> Tensor

  /// The cotangents of the inputs by a faster way than through the steps; nil where there is none.
  ///
  /// - Parameters:
  ///   - recording: whether the cotangents have to be made of operations, to be differentiated again.
  func fasterCotangents(_ x: [Tensor], _ dy: Tensor, needs: [Bool], recording: Bool)
    -> [(any Cotangent)?]?
}

extension SweptOperation {
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    let recording = dy.isTracked || x.contains(where: \.isTracked)
    return fasterCotangents(x, dy, needs: needs, recording: recording)
      ?? cotangents(ofSteps: x, dy, recording: recording)
  }

  /// The cotangents of the inputs by way of the steps.
  func cotangents(ofSteps x: [Tensor], _ dy: Tensor, recording: Bool) -> [(any Cotangent)?] {
    // Views of the inputs, so that a path from one input through another does not count.
    let views = x.map { $0.isTracked ? Reshape(result: $0.shape)($0) : $0.tracked() }
    return pullback([(steps(views), dy)], withRespectTo: views, recording: recording)
  }
}
