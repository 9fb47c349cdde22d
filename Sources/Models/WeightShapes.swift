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

  /// The side of the square grid of patches that a table `[1, rows, D]` has behind other tokens.
  ///
  /// - Throws: ``ModelError`` if there is no such grid.
  public func squareGrid(_ name: String, behind tokens: Int = 0) throws(ModelError) -> Int {
    let rows = try require(name, rank: 3)[1]
    if let side = squareRoot(rows - tokens), side > 0 { return side }
    throw ModelError(
      .unreadable, place: "tensor \"\(foreignName(name))\"", found: "\(rows) rows",
      expected: "a square grid of patches behind \(tokens) other token(s)")
  }

  /// How many classes a head tells apart; 0 without one.
  public func classes(_ name: String = "head.weight") -> Int { shape(name, rank: 2)?[0] ?? 0 }
}

extension WeightsView {
  /// The error about heads of attention that neither names nor shapes tell.
  func undeterminedHeads(_ family: String, width: Int) -> ModelError {
    ModelError(
      .undetermined,
      found: "the number of attention heads cannot be read from weights of width \(width)",
      expected: "a published width, or an architecture",
      advice: "Name the architecture before the file: \(family)(…,heads=N)@FILE")
  }
}

/// The whole number whose square this is.
func squareRoot(_ number: Int) -> Int? {
  guard number >= 0 else { return nil }
  let root = Int(Double(number).squareRoot().rounded())
  return root.multipliedReportingOverflow(by: root).partialValue == number ? root : nil
}

extension WeightsView {
  /// Blocks of each stage: how many members `name(stage, index)` has for each of the stages that have one, at most 8.
  func depths(_ name: (Int, Int) -> String) -> [Int] {
    var depths: [Int] = []
    while depths.count < 8, has(name(depths.count, 0)) {
      let stage = depths.count
      depths.append(count { name(stage, $0) })
    }
    return depths
  }
}

extension ModelConfiguration {
  /// Checks that a map can be halved so often.
  func requireHalvings(of side: Int, _ count: Int) throws(ModelError) {
    let divisor = 1.doubled(count)
    guard side > 0, side.isMultiple(of: divisor) else {
      throw refusal(
        "image", "a map of \(side)x\(side) places at \(imageSize.argument) pixels",
        "a multiple of \(divisor), for it is halved between stages", "Give another image size")
    }
  }
}
