import Tensors

/// Follows values through steps that only put them elsewhere: by doing them on the numbers of the places.
struct GraphMovements {
  /// The most places of one tensor; numbers up to there are exact.
  private static let maximumCount = 1 << 23
  /// How many places may still be copied for this graph.
  private var budget = 1 << 28

  /// For each place of the result of steps, the place of the source whose value is there; -1 for a zero. Of one
  /// image.
  ///
  /// - Parameters:
  ///   - steps: in order; those that are no movements keep every value where it is.
  ///   - source: the slot that the first of them reads.
  /// - Returns: nil where there are too many places.
  mutating func places(_ steps: [GraphStep], from source: Int, shape: Shape) -> GraphPlaces? {
    guard shape.count <= Self.maximumCount else { return nil }
    var work = 2 * shape.count
    for step in steps where step.kind.isCopy { work += step.extents.dimensions.reduce(1, *) }
    guard work <= budget else { return nil }
    budget -= work
    var slots = [
      source: Tensor(shape: shape) { buffer in
        for place in buffer.indices { buffer[place] = Float(place + 1) }
      }
    ]
    var result = slots[source]
    for step in steps {
      guard let input = step.inputs.firstNonNil({ slots[$0] }) else { return nil }
      result =
        step.kind.isMovement
        ? step.run([input], GraphPass(images: 1))
        : input.reshaped(Shape(step.extents.dimensions))
      slots[step.output] = result
    }
    return (result?.values.map { Int32($0) - 1 }).map(GraphPlaces.init)
  }
}

/// Where each value of a tensor comes from in another; -1: it is zero.
struct GraphPlaces {
  let places: [Int32]

  /// The row of the source that each row of so many values is; nil where rows do not stay whole.
  func rows(of width: Int) -> [Int32]? {
    guard width > 0, places.count.isMultiple(of: width) else { return nil }
    var rows: [Int32] = []
    rows.reserveCapacity(places.count / width)
    for start in stride(from: 0, to: places.count, by: width) {
      let first = places[start]
      guard first < 0 || Int(first).isMultiple(of: width) else { return nil }
      for offset in 0..<width
      where places[start + offset] != (first < 0 ? -1 : first + Int32(offset)) {
        return nil
      }
      rows.append(first < 0 ? -1 : first / Int32(width))
    }
    return rows
  }
}

extension GraphStep.Kind {
  /// Whether it only puts the values of its one input elsewhere.
  var isMovement: Bool {
    switch self {
    case .view, .movement, .padding: true
    default: false
    }
  }

  /// Whether values are copied for it.
  var isCopy: Bool {
    switch self {
    case .movement, .padding: true
    default: false
    }
  }
}

extension Sequence {
  /// The first result that is not nil.
  fileprivate func firstNonNil<Result>(_ function: (Element) -> Result?) -> Result? {
    for element in self { if let result = function(element) { return result } }
    return nil
  }
}
