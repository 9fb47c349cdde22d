/// A function of tensors that one sweep over memory computes faster than the operations it is made of.
///
/// Its `steps` alone say what the function is. Nobody who calls it chooses the way: the sweep is taken where
/// nothing is tracked and nobody looks inside, the steps everywhere else. So a derivative of any order is
/// that of the steps, unless an operation is declared that is recorded in their place.
protocol FusedFunction {
  /// The tensors that the function reads; nil for those left out.
  var inputs: [Tensor?] { get }

  /// The shape of the result.
  ///
  /// - Precondition: the shapes of the inputs fit; a message names them.
  var outputShape: Shape { get }

  /// Multiply-adds of the sweep.
  var multiplyAdds: Int { get }

  /// The function in simpler ones, and in operations that have rules of their own.
  ///
  /// - Parameters:
  ///   - inner: who looks at values on the way, each at its place.
  func steps(_ inner: InnerTaps) -> Tensor

  /// Writes the result into `y`, with the bits of the steps where these are not tracked.
  func sweep(into y: Tensor)

  /// Whether the sweep is there, and faster, for inputs of these shapes.
  var isSweepFaster: Bool { get }

  /// The function of tracked inputs as one operation whose rule is faster than the derivative of the
  /// steps; nil if there is none.
  func recordedWhole() -> Tensor?
}

/// Gets a value from within a function, and gives back what to go on with.
public typealias InnerTap = (Tensor) -> Tensor

/// Who looks inside a fused function; nil where nobody does.
struct InnerTaps {
  /// Attention maps after the softmax.
  var maps: InnerTap?
  /// The values between the two products of a perceptron.
  var hidden: InnerTap?
  /// What a scale and shift of channels, or of planes, is applied to.
  var beforeAffine: InnerTap?
  /// The result of that scale and shift.
  var afterAffine: InnerTap?
  /// A residual branch, before its gain and before it is added.
  var branch: InnerTap?

  var isEmpty: Bool {
    maps == nil && hidden == nil && beforeAffine == nil && afterAffine == nil && branch == nil
  }
}

extension FusedFunction {
  var multiplyAdds: Int { 0 }
  var isSweepFaster: Bool { true }
  func recordedWhole() -> Tensor? { nil }

  /// The result: the one place where sweep or steps are chosen.
  func callAsFunction(_ inner: InnerTaps = InnerTaps()) -> Tensor {
    let (shape, inputs) = (outputShape, inputs.lazy.compactMap(\.self))
    guard inner.isEmpty else { return steps(inner) }
    if inputs.contains(where: \.isTracked) { return recordedWhole() ?? steps(inner) }
    guard isSweepFaster else { return steps(inner) }
    let meter = inputs.compactMap(\.meter).first
    return Tensor(computed: shape, meter, multiplyAdds: multiplyAdds) { sweep(into: $0) }
  }
}
