import Glibc

@testable import Tensors

/// Float64 values with a shape, and operations on them written as plainly as possible: what the
/// engine is held against.
struct Reference {
  var shape: [Int]
  var values: [Double]

  init(_ shape: [Int], _ values: [Double]) {
    precondition(values.count == shape.reduce(1, *), "\(values.count) values for \(shape)")
    (self.shape, self.values) = (shape, values)
  }

  init(_ shape: [Int], _ value: (Int) -> Double) {
    self.init(shape, (0..<shape.reduce(1, *)).map(value))
  }

  init(_ tensor: Tensor) { self.init(tensor.shape.dimensions, tensor.values.map(Double.init)) }

  var count: Int { values.count }
  var cols: Int { shape.last ?? 1 }
  var rows: Int { shape.dropLast().reduce(1, *) }

  subscript(_ place: Int...) -> Double {
    get { values[offset(place)] }
    set { values[offset(place)] = newValue }
  }

  func offset(_ place: [Int]) -> Int { zip(place, shape).reduce(0) { $0 * $1.1 + $1.0 } }

  /// All places, in row-major order.
  static func places(_ shape: [Int]) -> [[Int]] {
    shape.reduce([[]]) { heads, extent in heads.flatMap { head in (0..<extent).map { head + [$0] } }
    }
  }

  func map(_ f: (Double) -> Double) -> Reference { Reference(shape, values.map(f)) }

  func reshaped(_ shape: [Int]) -> Reference { Reference(shape, values) }

  /// `f(a, b)` with `b` of the same shape, of the trailing axes, or with a last axis of 1.
  func combined(_ b: Reference, _ f: (Double, Double) -> Double) -> Reference {
    let row = b.shape.count == shape.count && b.shape.last == 1 && b.count == rows && cols != 1
    return Reference(shape) { i in f(values[i], b.values[row ? i / cols : i % b.count]) }
  }

  static func + (a: Reference, b: Reference) -> Reference { a.combined(b, +) }
  static func * (a: Reference, b: Reference) -> Reference { a.combined(b, *) }

  /// Each row of the last axis turned into another row.
  func mapRows(_ f: ([Double]) -> [Double]) -> Reference {
    var result: [Double] = []
    for r in 0..<rows { result += f(Array(values[r * cols..<(r + 1) * cols])) }
    return Reference(shape.dropLast() + [rows == 0 ? cols : result.count / rows], result)
  }

  func transposed() -> Reference {
    let (m, n) = (rows, cols)
    return Reference([n, m]) { values[$0 % m * n + $0 / m] }
  }

  /// The product of two matrices; leading axes count as rows.
  func matmul(_ b: Reference) -> Reference {
    let (m, k, n) = (rows, cols, b.cols)
    var y = [Double](repeating: 0, count: m * n)
    for i in 0..<m {
      for l in 0..<k {
        let a = values[i * k + l]
        for j in 0..<n { y[i * n + j] += a * b.values[l * n + j] }
      }
    }
    return Reference(shape.dropLast() + [n], y)
  }

  func softmax() -> Reference {
    mapRows { row in
      let top = row.max() ?? 0
      let e = row.map { exp($0 - top) }
      let sum = e.reduce(0, +)
      return e.map { $0 / sum }
    }
  }

  func normalized(_ epsilon: Double) -> Reference {
    mapRows { row in
      let mean = row.reduce(0, +) / Double(row.count)
      let variance = row.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(row.count)
      return row.map { ($0 - mean) / sqrt(variance + epsilon) }
    }
  }

  func sum(axis: Int) -> Reference {
    var y = Reference(Array(shape[..<axis] + shape[(axis + 1)...])) { _ in 0 }
    for place in Self.places(shape) {
      var to = place
      to.remove(at: axis)
      y.values[y.offset(to)] += values[offset(place)]
    }
    return y
  }

  func permuted(_ axes: [Int]) -> Reference {
    let places = Self.places(axes.map { shape[$0] })
    return Reference(axes.map { shape[$0] }) { i in
      var from = [Int](repeating: 0, count: axes.count)
      for (to, axis) in axes.enumerated() { from[axis] = places[i][to] }
      return values[offset(from)]
    }
  }

  func slice(_ axis: Int, _ start: Int, _ length: Int) -> Reference {
    var result = shape
    result[axis] = length
    let places = Self.places(result)
    return Reference(result) { i in
      var from = places[i]
      from[axis] += start
      return values[offset(from)]
    }
  }

  func padded(_ axis: Int, _ before: Int, _ total: Int) -> Reference {
    var result = shape
    result[axis] = total
    var y = Reference(result) { _ in 0 }
    for place in Self.places(shape) {
      var to = place
      to[axis] += before
      y.values[y.offset(to)] = values[offset(place)]
    }
    return y
  }

  static func concatenated(_ parts: [Reference], _ axis: Int) -> Reference {
    let total = parts.map { $0.shape[axis] }.reduce(0, +)
    var at = 0
    var y: Reference?
    for part in parts {
      let padded = part.padded(axis, at, total)
      y = y.map { $0 + padded } ?? padded
      at += part.shape[axis]
    }
    return y ?? Reference([0], [])
  }

  /// Rows of each image picked by a table; -1 is a row of zeros.
  func gatherRows(_ index: [Int32], _ rowsIn: Int) -> Reference {
    let (images, c) = (rows / rowsIn, cols)
    return Reference([images, index.count, c]) { i in
      let row = index[i / c % index.count]
      return row < 0 ? 0 : values[(i / c / index.count * rowsIn + Int(row)) * c + i % c]
    }
  }

  /// What a window sees: for each output place and tap, the input place or nil.
  private func forEachTap(
    _ w: TestWindow,
    _ body: (_ n: Int, _ oy: Int, _ ox: Int, _ ky: Int, _ kx: Int, _ at: Int) -> Void
  ) {
    for n in 0..<shape[0] {
      for oy in 0..<w.rows(shape[1]) {
        for ox in 0..<w.columns(shape[2]) {
          for ky in 0..<w.height {
            for kx in 0..<w.width {
              let (y, x) = (oy * w.stride + ky - w.padding.0, ox * w.stride + kx - w.padding.1)
              if y < 0 || x < 0 || y >= shape[1] || x >= shape[2] { continue }
              body(n, oy, ox, ky, kx, ((n * shape[1] + y) * shape[2] + x) * shape[3])
            }
          }
        }
      }
    }
  }

  /// Cross-correlation with `[out, kh, kw, in]`.
  func convolved(_ weight: Reference, _ w: TestWindow) -> Reference {
    let (oh, ow, out, c) = (w.rows(shape[1]), w.columns(shape[2]), weight.shape[0], shape[3])
    var y = Reference([shape[0], oh, ow, out]) { _ in 0 }
    forEachTap(w) { n, oy, ox, ky, kx, at in
      for o in 0..<out {
        let tap = ((o * w.height + ky) * w.width + kx) * c
        var sum = 0.0
        for i in 0..<c { sum += values[at + i] * weight.values[tap + i] }
        y.values[((n * oh + oy) * ow + ox) * out + o] += sum
      }
    }
    return y
  }

  /// Cross-correlation of stride 1 with `[out, k, k, in / groups]`, its taps `dilation` places apart, the
  /// extent kept.
  func convolved(_ weight: Reference, groups: Int, dilation: Int) -> Reference {
    let (out, k, inputs) = (weight.shape[0], weight.shape[1], weight.shape[3])
    var y = Reference([shape[0], shape[1], shape[2], out]) { _ in 0 }
    for place in Reference.places(y.shape) {
      let (n, row, column, o) = (place[0], place[1], place[2], place[3])
      let first = o / (out / groups) * inputs
      for ky in 0..<k {
        for kx in 0..<k {
          let (r, c) = (row + (ky - k / 2) * dilation, column + (kx - k / 2) * dilation)
          guard (0..<shape[1]).contains(r), (0..<shape[2]).contains(c) else { continue }
          for i in 0..<inputs {
            y[n, row, column, o] += self[n, r, c, first + i] * weight[o, ky, kx, i]
          }
        }
      }
    }
    return y
  }

  /// Depth-wise cross-correlation with `[kh, kw, C]`.
  func depthwise(_ weight: Reference, _ w: TestWindow) -> Reference {
    let (oh, ow, c) = (w.rows(shape[1]), w.columns(shape[2]), shape[3])
    var y = Reference([shape[0], oh, ow, c]) { _ in 0 }
    forEachTap(w) { n, oy, ox, ky, kx, at in
      for i in 0..<c {
        y.values[((n * oh + oy) * ow + ox) * c + i] +=
          values[at + i] * weight.values[(ky * w.width + kx) * c + i]
      }
    }
    return y
  }

  func maxPooled(_ w: TestWindow) -> Reference {
    let (oh, ow, c) = (w.rows(shape[1]), w.columns(shape[2]), shape[3])
    var y = Reference([shape[0], oh, ow, c]) { _ in -.infinity }
    forEachTap(w) { n, oy, ox, _, _, at in
      for i in 0..<c {
        let to = ((n * oh + oy) * ow + ox) * c + i
        y.values[to] = max(y.values[to], values[at + i])
      }
    }
    return y
  }

  /// Scores `q_h k_hᵀ` of each head, `[N, heads, T, S]`.
  func headScores(_ k: Reference, heads: Int) -> Reference {
    let (t, s, d) = (shape[1], k.shape[1], shape[2])
    var y = Reference([shape[0], heads, t, s]) { _ in 0 }
    for place in Self.places(y.shape) {
      let (n, h, i, j) = (place[0], place[1], place[2], place[3])
      var sum = 0.0
      for c in h * d / heads..<(h + 1) * d / heads {
        sum += values[(n * t + i) * d + c] * k.values[(n * s + j) * d + c]
      }
      y.values[y.offset(place)] = sum
    }
    return y
  }

  /// Maps `[N, heads, T, S]` applied to values `[N, S, D]`.
  func headApply(_ v: Reference) -> Reference {
    let (heads, t, s, d) = (shape[1], shape[2], shape[3], v.shape[2])
    return Reference([shape[0], t, d]) { index in
      let (n, i, c) = (index / d / t, index / d % t, index % d)
      let map = ((n * heads + c * heads / d) * t + i) * s
      return (0..<s).reduce(0) { $0 + values[map + $1] * v.values[(n * s + $1) * d + c] }
    }
  }

  static func attention(
    _ q: Reference, _ k: Reference, _ v: Reference, heads: Int, scale: Double,
    bias: Reference? = nil
  ) -> Reference {
    var scores = q.headScores(k, heads: heads).map { scale * $0 }
    if let bias {
      scores = Reference(scores.shape) { scores.values[$0] + bias.values[$0 % bias.count] }
    }
    return scores.softmax().headApply(v)
  }
}

/// A window as a test states it; its extents follow PyTorch's formula.
struct TestWindow {
  var height: Int
  var width: Int
  var stride = 1
  /// Top, left, bottom, right.
  var padding = (0, 0, 0, 0)
  var ceil = false

  var window: SlidingWindow {
    SlidingWindow(
      kernel: (height, width), stride: (stride, stride), padding: padding, ceilMode: ceil)
  }

  private func extent(_ size: Int, _ kernel: Int, _ before: Int, _ after: Int) -> Int {
    let room = size + before + after - kernel
    let extent = (ceil ? (room + stride - 1) / stride : room / stride) + 1
    return ceil && (extent - 1) * stride >= size + before ? extent - 1 : extent
  }
  func rows(_ size: Int) -> Int { extent(size, height, padding.0, padding.2) }
  func columns(_ size: Int) -> Int { extent(size, width, padding.1, padding.3) }
}

/// `x Φ(x)` in Float64.
func gelu(_ x: Double) -> Double { 0.5 * x * erfc(-x / 2.0.squareRoot()) }

/// GELU by the hyperbolic tangent in Float64.
func geluTanh(_ x: Double) -> Double {
  0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
}

extension Reference {
  /// `[N, P, T, S]` by `[Q, P]`: `[N, Q, T, S]`.
  func mixedPlanes(_ matrix: Reference) -> Reference {
    var y = Reference([shape[0], matrix.shape[0], shape[2], shape[3]]) { _ in 0 }
    for place in Reference.places(y.shape) {
      let (n, q, t, s) = (place[0], place[1], place[2], place[3])
      y[n, q, t, s] = (0..<shape[1]).reduce(0) { $0 + matrix[q, $1] * self[n, $1, t, s] }
    }
    return y
  }

  /// `[N, P, T, S]` under kernels `[P, k, k]` that begin `before` places before the one they make.
  func depthwisePlanes(_ kernels: Reference, before: Int) -> Reference {
    var y = Reference(shape) { _ in 0 }
    let k = kernels.shape[1]
    for place in Reference.places(shape) {
      var sum = 0.0
      for p in 0..<k {
        for q in 0..<k {
          let (t, s) = (place[2] + p - before, place[3] + q - before)
          guard (0..<shape[2]).contains(t), (0..<shape[3]).contains(s) else { continue }
          sum += kernels[place[1], p, q] * self[place[0], place[1], t, s]
        }
      }
      y[place[0], place[1], place[2], place[3]] = sum
    }
    return y
  }
}
