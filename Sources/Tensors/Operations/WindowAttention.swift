import CKernels

/// How windows lie on the rows of an image: which row each token of each window is.
public struct WindowLayout: Sendable, Equatable {
  /// The row of each token, window after window; every row occurs once.
  public let rows: [Int32]
  /// Which of the biases each window takes.
  public let biases: [Int32]
  /// The place of each row among the tokens of all windows.
  let places: [Int32]

  /// The number of windows.
  public var windows: Int { biases.count }
  /// The tokens of one window.
  public var tokens: Int { rows.count / biases.count }

  /// - Precondition: windows are of one size, there is at least one, and every row occurs once.
  public init(rows: [Int32], biases: [Int32]) {
    precondition(
      !biases.isEmpty && rows.count.isMultiple(of: biases.count) && !rows.isEmpty,
      "\(rows.count) rows do not make \(biases.count) windows")
    var places = [Int32](repeating: -1, count: rows.count)
    for (place, row) in rows.enumerated() {
      precondition(places[Int(row)] < 0, "Row \(row) lies in two windows")
      places[Int(row)] = Int32(place)
    }
    self.rows = rows
    self.biases = biases
    self.places = places
  }

  /// Tokens that are neighbours on the map, too.
  ///
  /// - Parameters:
  ///   - windows: those of image after image.
  ///   - body: gets the place of a run's first token among all tokens of these windows, its row among
  ///     those of all images, and the number of tokens.
  func forEachRun(
    in windows: Range<Int>, _ body: (_ place: Int, _ row: Int, _ count: Int) -> Void
  ) {
    for window in windows {
      let (image, own) = window.quotientAndRemainder(dividingBy: self.windows)
      let place = (window - windows.lowerBound) * tokens - own * tokens
      var token = own * tokens
      while token < (own + 1) * tokens {
        var end = token + 1
        while end < (own + 1) * tokens, rows[end] == rows[end - 1] + 1 { end += 1 }
        body(place + token, image * rows.count + Int(rows[token]), end - token)
        token = end
      }
    }
  }

  func check(_ x: Shape, heads: Int, bias: Shape) {
    precondition(
      x.rank == 3 && x[1] == rows.count, "\(x) does not hold the \(rows.count) rows of windows")
    precondition(
      bias.dimensions.dropFirst() == [heads, tokens, tokens]
        && biases.allSatisfy { $0 >= 0 && Int($0) < bias[0] },
      "A bias \(bias) does not fit \(heads) heads of \(tokens) tokens")
  }
}

/// Attention within windows that reads queries, keys and values where they lie and writes results there:
/// no window is cut out of the map. Used where nothing is tracked.
///
/// - Inputs: `[N, R, 3 D]` and a bias `[K, heads, T, T]` (`mix`: maps, then `[N, R, 3 D]`).
private struct WindowedAttention: Operation {
  enum Part {
    /// Everything; result `[N, R, D]`.
    case whole
    /// Up to the softmax; result `[N, windows, heads, T, T]`.
    case maps
    /// Maps applied to values; result `[N, R, D]`.
    case mix
  }

  let layout: WindowLayout
  let heads: Int
  let scale: Float
  let part: Part

  func outputShape(_ x: [Shape]) -> Shape {
    let qkv = part == .mix ? x[1] : x[0]
    guard part == .maps else { return qkv.replacingLast(qkv.last / 3) }
    return [qkv[0], layout.windows, heads, layout.tokens, layout.tokens]
  }

  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int {
    let qkv = part == .mix ? x[1] : x[0]
    return (qkv.count / 3).times(part == .whole ? 2 * layout.tokens : layout.tokens)
  }

  func forward(_ x: [Tensor], into y: Tensor) -> [Tensor] {
    let qkv = part == .mix ? x[1] : x[0]
    let d = qkv.shape.last / 3
    let (rows, width) = (qkv.shape[1], d / heads)
    let (t, windows, area) = (layout.tokens, layout.windows, layout.tokens * layout.tokens)
    let (px, py) = (DisjointWrites(qkv.pointer), DisjointWrites(y.pointer))
    let first = part == .mix ? x[0] : x[1]
    let other = DisjointWrites(first.pointer)
    let (layout, heads, part) = (layout, heads, part)
    let attention = HeadAttention(t: t, s: t, width: width, scale: scale)
    Threads.forEach(qkv.shape[0] * windows * heads) { task in
      let (head, window) = (task % heads, task / heads % windows)
      let image = task / heads / windows
      let (map, packed) = (scratch(0, area), scratch(1, 3 * t * width))
      let source = px + (image * rows * 3 * d + head * width)
      let parts = part == .maps ? 0..<2 : part == .mix ? 2..<3 : 0..<3
      layout.rows.withUnsafeBufferPointer { index in
        for place in 0..<t {
          let row = source + Int(index[window * t + place]) * 3 * d
          for step in parts {
            (packed + (step * t + place) * width).update(from: row + step * d, count: width)
          }
        }
      }
      let own = part == .whole ? map : (part == .maps ? py : other) + task * area
      if part != .mix {
        attention.scores(
          packed, packed + t * width, ld: width,
          bias: other + (Int(layout.biases[window]) * heads + head) * area, own)
      }
      guard part != .maps else { return }
      // Queries are not needed any more.
      gemm(
        t, width, t, own, lda: t, packed + 2 * t * width, ldb: width, packed, ldc: width)
      let result = py + (image * rows * d + head * width)
      layout.rows.withUnsafeBufferPointer { index in
        for place in 0..<t {
          (result + Int(index[window * t + place]) * d).update(
            from: packed + place * width, count: width)
        }
      }
    }
    return []
  }

  func vjp(_ x: [Tensor], _ y: Tensor, _ saved: [Tensor], _ dy: Tensor, needs: [Bool])
    -> [(any Cotangent)?]
  {
    preconditionFailure("Windowed attention is never recorded")
  }
}

/// Multi-head attention within windows, `softmax(scale q kᵀ + bias) v` (Liu et al. 2021).
///
/// - Parameters:
///   - qkv: `[N, R, 3 D]`, queries, keys and values side by side, heads side by side in each.
///   - layout: which rows make a window, and which bias it takes.
///   - bias: `[K, heads, T, T]`, with any masks in it.
///   - maps: gets the maps `[N, windows, heads, T, T]` after the softmax and may put others in their
///     place; nil if nobody looks.
/// - Returns: `[N, R, D]`, before the output projection, rows in the order of `qkv`.
public func windowAttention(
  qkv: Tensor, _ layout: WindowLayout, heads: Int, scale: Float, bias: Tensor,
  maps: ((Tensor) -> Tensor)? = nil
) -> Tensor {
  let (t, windows) = (layout.tokens, layout.windows)
  layout.check(qkv.shape, heads: heads, bias: bias.shape)
  precondition(
    qkv.shape.last % (3 * heads) == 0, "\(qkv.shape) does not hold rows of \(heads) heads")
  let (images, rows, d) = (qkv.shape[0], layout.rows.count, qkv.shape.last / 3)
  func step(_ part: WindowedAttention.Part) -> WindowedAttention {
    WindowedAttention(layout: layout, heads: heads, scale: scale, part: part)
  }
  if !qkv.isTracked, !bias.isTracked {
    guard let maps else { return step(.whole)(qkv, bias) }
    let seen = maps(step(.maps)(qkv, bias))
    if !seen.isTracked { return step(.mix)(seen, qkv) }
    let values = qkv.gatherRows(layout.rows, rowsIn: rows).slice(axis: 2, start: 2 * d, length: d)
    return seen.reshaped([images * windows, heads, t, t])
      .applied(to: values.reshaped([images * windows, t, d])).reshaped([images, rows, d])
      .gatherRows(layout.places, rowsIn: rows)
  }
  let each: Tensor =
    bias.shape[0] == 1
    ? bias.reshaped([heads, t, t])
    : bias.reshaped([bias.shape[0], heads * t * t])
      .gatherRows(layout.biases, rowsIn: bias.shape[0]).reshaped([windows, heads, t, t])
  var seen: ((Tensor) -> Tensor)?
  if let maps {
    seen = { map in
      maps(map.reshaped([images, windows, heads, t, t])).reshaped(map.shape)
    }
  }
  return attention(
    qkv: qkv.gatherRows(layout.rows, rowsIn: rows).reshaped([images * windows, t, 3 * d]),
    heads: heads, scale: scale, bias: each, maps: seen
  ).reshaped([images, rows, d]).gatherRows(layout.places, rowsIn: rows)
}
