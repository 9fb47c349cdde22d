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

/// Windows of a map that attention stays within, with what is added to their scores.
public struct AttentionWindows: Sendable {
  /// Which rows make a window, and which bias it takes.
  public let layout: WindowLayout
  /// `[K, heads, T, T]`, with any masks in it.
  public let bias: Tensor
  /// Where windows reach beyond the map: for each token of each window a row of the map, or -1 for a token
  /// of zeros; ``layout`` is that of these tokens. Nil where windows cover the map.
  public let padding: [Int32]?
  /// The way back: for each row of the map, its place among the tokens of ``padding``.
  public let cropping: [Int32]

  /// Windows given by their parts.
  public init(
    layout: WindowLayout, bias: Tensor, padding: [Int32]? = nil, cropping: [Int32] = []
  ) {
    (self.layout, self.bias, self.padding, self.cropping) = (layout, bias, padding, cropping)
  }
}

/// Attention within windows that reads queries, keys and values where they lie and writes results there:
/// no window is cut out of the map.
struct FusedWindowAttention: FusedFunction {
  enum Part {
    /// Everything; result `[N, R, D]`.
    case whole(bias: Tensor)
    /// Up to the softmax; result `[N, windows, heads, T, T]`.
    case maps(bias: Tensor)
    /// Maps applied to values; result `[N, R, D]`.
    case mix(maps: Tensor)
  }

  let packed: PackedHeads
  let layout: WindowLayout
  let scale: Float
  var part: Part

  private var other: Tensor {
    switch part {
    case .whole(let tensor), .maps(let tensor), .mix(let tensor): tensor
    }
  }

  var inputs: [Tensor?] { [packed.qkv, other] }

  private var mapShape: Shape {
    [packed.qkv.shape[0], layout.windows, packed.heads, layout.tokens, layout.tokens]
  }

  var outputShape: Shape {
    switch part {
    case .whole(let bias), .maps(let bias):
      layout.check(packed.qkv.shape, heads: packed.heads, bias: bias.shape)
    case .mix(let maps):
      precondition(maps.shape == mapShape, "Maps \(maps.shape) are not \(mapShape)")
    }
    if case .maps = part { return mapShape }
    return packed.qkv.shape.replacingLast(packed.channels)
  }

  var multiplyAdds: Int {
    let products = if case .whole = part { 2 } else { 1 }
    return (packed.qkv.shape.count / 3).times(products * layout.tokens)
  }

  private func doing(_ part: Part) -> FusedWindowAttention {
    var copy = self
    copy.part = part
    return copy
  }

  func steps(_ inner: InnerTaps) -> Tensor {
    let (t, windows, heads) = (layout.tokens, layout.windows, packed.heads)
    let (images, rows, d) = (packed.qkv.shape[0], layout.rows.count, packed.channels)
    func cut(_ x: Tensor) -> Tensor {
      x.gatherRows(layout.rows, rowsIn: rows).reshaped([images * windows, t, d])
    }
    switch part {
    case .whole(let bias):
      let maps = doing(.maps(bias: bias))()
      return doing(.mix(maps: inner.maps?(maps) ?? maps))()
    case .maps(let bias):
      let kinds = bias.shape[0]
      let each =
        kinds == 1
        ? bias.reshaped([heads, t, t])
        : bias.reshaped([kinds, heads * t * t]).gatherRows(layout.biases, rowsIn: kinds)
          .reshaped([windows, heads, t, t])
      return FusedAttention.maps(
        cut(packed.queries), cut(packed.keys), heads: heads, scale: scale, bias: each
      ).reshaped(mapShape)
    case .mix(let maps):
      return maps.reshaped([images * windows, heads, t, t]).applied(to: cut(packed.values))
        .reshaped([images, rows, d]).gatherRows(layout.places, rowsIn: rows)
    }
  }

  func sweep(into y: Tensor) {
    let (d, rows, heads) = (packed.channels, packed.qkv.shape[1], packed.heads)
    let width = d / heads
    let (t, windows, area) = (layout.tokens, layout.windows, layout.tokens * layout.tokens)
    let (px, py) = (packed.qkv.memory, y.memory)
    // Which of queries, keys and values are read; where maps are written or read; the bias.
    let parts: Range<Int>
    var (outside, bias): (DisjointWrites<Float>?, DisjointWrites<Float>?) = (nil, nil)
    switch part {
    case .whole(let added): (parts, bias) = (0..<3, added.memory)
    case .maps(let added): (parts, outside, bias) = (0..<2, py, added.memory)
    case .mix(let maps): (parts, outside) = (2..<3, maps.memory)
    }
    let attention = HeadAttention(t: t, s: t, width: width, scale: scale)
    Threads.forEach(packed.qkv.shape[0] * windows * heads) { [layout, outside, bias] task in
      let (head, window) = (task % heads, task / heads % windows)
      let image = task / heads / windows
      let inCache = ScratchMemory(.maps, area)
      let operand = ScratchMemory(.operand, 3 * t * width)
      let together = operand.pointer
      let source = px + (image * rows * 3 * d + head * width)
      layout.rows.withUnsafeBufferPointer { index in
        for place in 0..<t {
          let row = source + Int(index[window * t + place]) * 3 * d
          for step in parts {
            (together + (step * t + place) * width).update(from: row + step * d, count: width)
          }
        }
      }
      let map = outside.map { $0 + task * area } ?? inCache.pointer
      if let bias {
        attention.scores(
          together, together + t * width, ld: width,
          bias: bias + (Int(layout.biases[window]) * heads + head) * area, map)
      }
      guard parts.contains(2) else { return }
      // Queries are not needed any more.
      gemm(t, width, t, map, lda: t, together + 2 * t * width, ldb: width, together, ldc: width)
      let result = py + (image * rows * d + head * width)
      layout.rows.withUnsafeBufferPointer { index in
        for place in 0..<t {
          (result + Int(index[window * t + place]) * d).update(
            from: together + place * width, count: width)
        }
      }
    }
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
  maps: InnerTap? = nil
) -> Tensor {
  FusedWindowAttention(
    packed: PackedHeads(qkv, heads: heads), layout: layout, scale: scale, part: .whole(bias: bias))(
      InnerTaps(maps: maps))
}
