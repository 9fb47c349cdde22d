import Checkpoints

/// What families read off shapes in the same way.
extension WeightsView {
  /// A projection of patches, `[D, channels, p, p]`, or a matrix `[D, channels p p]`, which does not
  /// tell its channels: 3 if they fit, else 1.
  ///
  /// - Throws: ``ModelError`` for any other shape.
  public func patchProjection(
    _ name: String
  ) throws(ModelError) -> (dim: Int, channels: Int, patch: Int) {
    let shape = shape(name) ?? []
    if shape.count == 4, shape[2] == shape[3], !shape.contains(0) {
      return (shape[0], shape[1], shape[2])
    }
    if shape.count == 2, !shape.contains(0) {
      let channels = shape[1] % 3 == 0 ? 3 : 1
      if let side = squareRoot(shape[1] / channels) { return (shape[0], channels, side) }
    }
    throw ModelError(
      .unreadable, place: "tensor \"\(foreignName(name))\"", found: "shape \(shape)",
      expected: "[D, channels, p, p], or a matrix of 3 p p columns")
  }

  /// How many classes a head tells apart; 0 without one.
  public func classes(_ name: String = "head.weight") -> Int { shape(name, rank: 2)?[0] ?? 0 }
}

/// The whole number whose square this is.
func squareRoot(_ number: Int) -> Int? {
  guard number >= 0 else { return nil }
  let root = Int(Double(number).squareRoot().rounded())
  return root.multipliedReportingOverflow(by: root).partialValue == number ? root : nil
}
