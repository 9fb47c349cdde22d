import Testing

@testable import Tensors

/// What is done a tile at a time has the bits of the steps one by one.
@Suite struct FusedStepsTests {
  private var random = Random(seed: 21)

  private mutating func normalization(_ width: Int) -> RowNormalization {
    RowNormalization(
      gamma: random.normal([width]), beta: random.normal([width]), epsilon: 1e-5)
  }

  private func bits(_ x: Tensor) -> [UInt32] { x.values.map(\.bitPattern) }

  @Test(arguments: [true, false])
  mutating func aNormalisationBeforeAProduct(hasBias: Bool) {
    let norm = normalization(48)
    let (x, weight) = (random.normal([3, 201, 48]), random.normal([70, 48]))
    let bias = hasBias ? random.normal([70]) : nil
    let fused = linear(x, weight, bias: bias, normalization: norm, activation: .gelu)
    let steps = linear(norm(x), weight, bias: bias, activation: .gelu)
    #expect(bits(fused) == bits(steps))
  }

  @Test(arguments: [Activation.gelu, .relu])
  mutating func twoProductsWithAnActivationBetween(_ activation: Activation) {
    let norm = normalization(40)
    let x = random.normal([2, 333, 40])
    let first = (random.normal([150, 40]), Optional(random.normal([150])))
    let second = (random.normal([40, 150]), Optional(random.normal([40])))
    let gain = random.normal([40])
    let fused = perceptron(
      x, first, second, normalization: norm, activation: activation, gain: gain, residual: x)
    let hidden = linear(norm(x), first.0, bias: first.1, activation: activation)
    let steps = linear(hidden, second.0, bias: second.1, gain: gain, residual: x)
    #expect(bits(fused) == bits(steps))
    let plain = perceptron(x, (first.0, nil), (second.0, nil), activation: activation)
    #expect(
      bits(plain) == bits(linear(linear(x, first.0, activation: activation), second.0)))
  }

  /// The projection takes fewer channels than the tokens have, and more.
  @Test(arguments: [(36, 24), (36, 48)])
  mutating func attentionWithTheProductsAroundIt(_ width: Int, _ channels: Int) {
    let norm = normalization(width)
    let x = random.normal([9, 29, width])
    let qkv = (random.normal([3 * channels, width]), Optional(random.normal([3 * channels])))
    let projection = (random.normal([width, channels]), Optional(random.normal([width])))
    let gain = random.normal([width])
    func fused(_ x: Tensor) -> Tensor {
      selfAttention(
        x, normalization: norm, qkv: qkv, projection: projection, heads: 4, scale: 0.3, gain: gain)
    }
    let mixed = attention(qkv: linear(norm(x), qkv.0, bias: qkv.1), heads: 4, scale: 0.3)
    let steps = linear(mixed, projection.0, bias: projection.1, gain: gain, residual: x)
    #expect(bits(fused(x)) == bits(steps))
    // Few images go the other way, with the same bits.
    let few = x.slice(axis: 0, start: 0, length: 2)
    #expect(bits(fused(few)) == bits(steps.slice(axis: 0, start: 0, length: 2)))
    let bare = selfAttention(
      x, normalization: norm, qkv: (qkv.0, nil), projection: (projection.0, nil), heads: 4,
      scale: 0.3)
    let bareMixed = attention(qkv: linear(norm(x), qkv.0), heads: 4, scale: 0.3)
    #expect(bits(bare) == bits(linear(bareMixed, projection.0, residual: x)))
  }

  /// Windows of 3 x 3 on a map of 6 x 9, rolled by one row and two columns; each takes one of two biases.
  private static let windows: WindowLayout = {
    var rows: [Int32] = []
    for window in 0..<6 {
      for token in 0..<9 {
        let y = (window / 3 * 3 + token / 3 + 1) % 6
        let x = (window % 3 * 3 + token % 3 + 2) % 9
        rows.append(Int32(y * 9 + x))
      }
    }
    return WindowLayout(rows: rows, biases: [0, 0, 1, 1, 0, 1])
  }()

  @Test(arguments: [(36, 24), (36, 48)])
  mutating func attentionWithinWindows(_ width: Int, _ channels: Int) {
    let norm = normalization(width)
    let x = random.normal([5, 54, width])
    let qkv = (random.normal([3 * channels, width]), Optional(random.normal([3 * channels])))
    let projection = (random.normal([width, channels]), Optional(random.normal([width])))
    let (gain, bias) = (random.normal([width]), random.normal([2, 4, 9, 9]))
    func fused(_ x: Tensor) -> Tensor {
      selfAttention(
        x, normalization: norm, qkv: qkv, projection: projection, heads: 4, scale: 0.3, gain: gain,
        windows: AttentionWindows(layout: Self.windows, bias: bias))
    }
    let mixed = windowAttention(
      qkv: linear(norm(x), qkv.0, bias: qkv.1), Self.windows, heads: 4, scale: 0.3, bias: bias)
    let seen = windowAttention(
      qkv: linear(norm(x), qkv.0, bias: qkv.1), Self.windows, heads: 4, scale: 0.3, bias: bias,
      maps: { $0 })
    #expect(bits(seen) == bits(mixed))
    let steps = linear(mixed, projection.0, bias: projection.1, gain: gain, residual: x)
    #expect(bits(fused(x)) == bits(steps))
    // Other images beside an image, and fewer windows than are taken together, change nothing.
    for images in [1, 3] {
      let few = x.slice(axis: 0, start: 2, length: images)
      #expect(bits(fused(few)) == bits(steps.slice(axis: 0, start: 2, length: images)))
    }
    // Recorded, windows are cut out of the map.
    let recorded = fused(x.tracked())
    let largest = steps.values.reduce(0) { max($0, abs($1)) }
    for (a, b) in zip(steps.values, recorded.values) { #expect(abs(a - b) <= 1e-6 * largest) }
  }

  /// A row of the map at a time, its scores in cache; channels that make up whole vectors or not.
  @Test(arguments: [(32, 2), (32, 32), (24, 4), (12, 12)])
  mutating func localAttentionIsItsSteps(_ channels: Int, _ heads: Int) {
    let shape: Shape = [2, 9, 11, channels]
    let (q, k, v) = (random.normal(shape), random.normal(shape), random.normal(shape))
    let positions = random.normal([25, channels])
    func attention(_ maps: InnerTap?) -> Tensor {
      localAttention(
        queries: q, keys: k, values: v, window: SlidingWindow(kernel: 5, padding: 2),
        heads: heads, scale: 0.4, positions: positions, maps: maps)
    }
    var sums: [Float] = []
    let steps = attention { maps in
      sums = maps.sum(axis: 3).values
      return maps
    }
    #expect(bits(attention(nil)) == bits(steps))
    #expect(sums.count == 2 * heads * 99 && sums.allSatisfy { abs($0 - 1) < 1e-5 })
  }

  /// Each tap reads a mixture of several sets of values; windows with one more place before than behind.
  @Test(arguments: [(32, 32), (12, 12), (24, 4)])
  mutating func mixturesAreTheirSteps(_ channels: Int, _ heads: Int) {
    let shape: Shape = [2, 9, 11, channels]
    let (q, k) = (random.normal(shape), random.normal(shape))
    let (v, shares) = (random.normal([2, 9, 11, 4 * channels]), random.normal([16, 4]))
    func attention(_ maps: InnerTap?) -> Tensor {
      localAttention(
        queries: q, keys: k, values: v,
        window: SlidingWindow(kernel: (4, 4), padding: (2, 2, 1, 1)), heads: heads, scale: 0.4,
        shares: shares, maps: maps)
    }
    var shapes: [Shape] = []
    let steps = attention { maps in
      shapes.append(maps.shape)
      return maps
    }
    #expect(bits(attention(nil)) == bits(steps))
    #expect(shapes == [[2, heads, 99, 16]])
  }

  /// All rows of the windows in turn, cut where the map ends and where an image ends.
  @Test func runsOfWindowsAreTheirRows() {
    let layout = Self.windows
    var rows: [Int] = []
    var lengths: [Int] = []
    layout.forEachRun(in: 4..<9) { place, row, count in
      #expect(place == rows.count)
      rows += row..<(row + count)
      lengths.append(count)
    }
    let expected = (4..<9).flatMap { window in
      (0..<9).map { window / 6 * 54 + Int(layout.rows[window % 6 * 9 + $0]) }
    }
    #expect(rows == expected)
    // The last window of three is cut where the map ends.
    #expect(lengths.prefix(9) == [3, 3, 3, 1, 2, 1, 2, 1, 2])
  }

  /// Recorded, the same functions are steps that have derivatives.
  @Test mutating func recordedStepsHaveTheSameValues() {
    let norm = normalization(24)
    let x = random.normal([8, 13, 24])
    let first = (random.normal([50, 24]), Optional(random.normal([50])))
    let second = (random.normal([24, 50]), Optional(random.normal([24])))
    let qkv = (random.normal([72, 24]), Optional(random.normal([72])))
    let projection = (random.normal([24, 24]), Optional(random.normal([24])))
    func block(_ x: Tensor) -> Tensor {
      let attended = selfAttention(
        x, normalization: norm, qkv: qkv, projection: projection, heads: 3, scale: 0.2)
      return perceptron(
        attended, first, second, normalization: norm, activation: .gelu, residual: attended)
    }
    let (plain, recorded) = (block(x), block(x.tracked()))
    let largest = plain.values.reduce(0) { max($0, abs($1)) }
    for (a, b) in zip(plain.values, recorded.values) { #expect(abs(a - b) <= 1e-6 * largest) }
  }
}
