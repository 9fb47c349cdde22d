import CKernels

/// What each place of a resampled axis is made of: a sparse matrix, row by row.
struct ResamplingWeights: Sendable {
  /// Places of the axis before.
  let count: Int
  private let starts: [Int32]
  private let places: [Int32]
  private let values: [Float]

  /// Places of the axis after.
  var rows: Int { starts.count - 1 }

  /// - Parameters:
  ///   - count: places of the axis before.
  ///   - rows: for each place after, places before and their weights.
  init(count: Int, rows: [[(place: Int, weight: Double)]]) {
    self.count = count
    starts = rows.reduce(into: [0]) { $0.append($0[$0.count - 1] + Int32($1.count)) }
    places = rows.joined().map { Int32($0.place) }
    values = rows.joined().map { Float($0.weight) }
    precondition(places.allSatisfy { 0..<count ~= Int($0) }, "A place outside 0..<\(count)")
  }

  /// The adjoint.
  var transposed: ResamplingWeights {
    var columns = [[(place: Int, weight: Double)]](repeating: [], count: count)
    for row in 0..<rows {
      for entry in Int(starts[row])..<Int(starts[row + 1]) {
        columns[Int(places[entry])].append((row, Double(values[entry])))
      }
    }
    return ResamplingWeights(count: rows, rows: columns)
  }

  /// `y[outer, rows, inner]` of `x[outer, count, inner]`.
  func apply(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, outer: Int, inner: Int
  ) {
    ck_resample_axis(x, y, outer, count, rows, inner, starts, places, values)
  }
}

/// One axis under a sparse matrix: pools of averages and interpolations are two of these. Closed under
/// differentiation.
struct AxisResampling: Operation {
  let axis: Int
  let weights: ResamplingWeights

  func outputShape(_ x: [Shape]) -> Shape {
    precondition(
      x[0][axis] == weights.count,
      "\(weights.count) places are not those of axis \(axis) of \(x[0])")
    return x[0].replacing(axis: axis, with: weights.rows)
  }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (outer, count, inner) = x[0].shape.around(axis: axis)
    let (px, py) = (x[0].memory, y.memory)
    Threads.forEachTile(
      of: outer, target: max(1, (1 << 17) / max(1, max(count, weights.rows) * inner))
    ) {
      first, size in
      weights.apply(
        px + first * count * inner, py + first * weights.rows * inner, outer: size, inner: inner)
    }
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [AxisResampling(axis: axis, weights: weights.transposed)(dy)]
  }
}

extension Tensor {
  /// Rows and columns of a map `[N, H, W, C]` under one sparse matrix each.
  func resampled(rows: ResamplingWeights, columns: ResamplingWeights) -> Tensor {
    AxisResampling(axis: 1, weights: rows)(AxisResampling(axis: 2, weights: columns)(self))
  }
}
