import Glibc

@testable import Tensors

/// What networks from elsewhere are made of: repetition by NumPy's rule, any axes, windows of any kind.
extension OperationCase {
  static let general: [OperationCase] =
    broadcasts + severalAxes + rearrangements + functions + batchedProducts + generalWindows
    + resamplings

  private static let broadcasts: [OperationCase] =
    [
      ([2, 3, 4], [3, 1]), ([2, 3, 1, 4], [2, 1, 5, 1]), ([3, 1], [2, 3, 4]),
      ([2, 4, 5], [2, 1, 5]),
      ([3, 2, 3, 2, 3], [1, 2, 1, 2, 1]), ([2, 3, 2, 3], [2, 1, 2, 1]), ([1, 3], [1, 1]),
      ([2, 3], [1]), ([1], [1, 1]), ([0, 3], [1, 3]), ([2, 1], [1, 0]), ([], [2, 2]),
    ].flatMap { (a: Shape, b: Shape) -> [OperationCase] in
      let shape = Shape.broadcast(a, b) ?? []
      return [
        .init(
          name: "add \(a) and \(b)", shapes: [a, b], run: { $0[0] + $0[1] },
          reference: { $0[0].filling(shape).combined($0[1].filling(shape), +) }),
        .init(
          name: "multiply \(a) by \(b)", shapes: [a, b], run: { $0[0] * $0[1] },
          reference: { $0[0].filling(shape).combined($0[1].filling(shape), *) }),
        .init(
          name: "sum of products \(a) and \(b)", shapes: [shape, shape],
          run: { ReducedProduct(result: b.count <= a.count ? b : a)($0[0], $0[1]) },
          reference: { x in
            x[0].combined(x[1], *).reduced(to: b.count <= a.count ? b : a)
          }),
        .init(
          name: "expand \(b) to \(shape)", shapes: [b], run: { $0[0].expanded(to: shape) },
          reference: { $0[0].filling(shape) }),
      ]
    }
    + [
      .init(
        name: "divide", shapes: [[2, 3], [3]], values: .positive, run: { $0[0] / $0[1] },
        reference: { $0[0].combined($0[1]) { $0 / $1 } })
    ]

  private static let severalAxes: [OperationCase] = [
    .init(
      name: "sum over outer and inner axes", shapes: [[2, 3, 2, 2]],
      run: { $0[0].sum(axes: [0, -1]) },
      reference: { $0[0].sum(axis: 3).sum(axis: 0) }),
    .init(
      name: "sum over no axis", shapes: [[2, 3]], run: { $0[0].sum(axes: []) },
      reference: { $0[0] }),
    .init(
      name: "variance", shapes: [[2, 4, 3]],
      run: { $0[0].variance(axes: [1], keepingAxes: true) },
      reference: { x in
        let mean = x[0].sum(axis: 1).map { $0 / 4 }.reshaped([2, 1, 3]).filling([2, 4, 3])
        return x[0].combined(mean) { ($0 - $1) * ($0 - $1) }.sum(axis: 1).map { $0 / 3 }
          .reshaped([2, 1, 3])
      }),
    .init(
      name: "largest over two axes", shapes: [[2, 3, 4]], values: .distinct,
      run: { $0[0].maximum(axes: [0, 2]) },
      reference: { x in
        Reference([3]) { row in
          x[0].values.indices.filter { $0 / 4 % 3 == row }.map { x[0].values[$0] }.max() ?? 0
        }
      }),
    .init(
      name: "length", shapes: [[3, 4]], run: { $0[0].norm(axes: [1]) },
      reference: { $0[0].map { $0 * $0 }.sum(axis: 1).map { sqrt($0) } }),
    .init(
      name: "cumulative sum", shapes: [[2, 4, 3]], run: { $0[0].cumulativeSum(axis: -2) },
      reference: { x in
        Reference([2, 4, 3]) { i in
          (0...(i / 3 % 4)).reduce(0) { $0 + x[0].values[i / 12 * 12 + $1 * 3 + i % 3] }
        }
      }),
    .init(
      name: "softmax over the first axis", shapes: [[3, 2, 2]], run: { $0[0].softmax(axis: 0) },
      reference: { $0[0].permuted([1, 2, 0]).softmax().permuted([2, 0, 1]) }),
    .init(
      name: "logarithm of the softmax", shapes: [[3, 4]], run: { $0[0].logSoftmax(axis: 1) },
      reference: { $0[0].softmax().map { log($0) } }),
  ]

  private static let rearrangements: [OperationCase] = [
    .init(
      name: "every other place", shapes: [[2, 7, 3]],
      run: { $0[0].slice(axis: 1, start: 1, length: 3, step: 2) },
      reference: { $0[0].picked(1, [1, 3, 5]) }),
    .init(
      name: "backwards by 3", shapes: [[2, 7, 3]],
      run: { $0[0].slice(axis: 1, start: 6, length: 3, step: -3) },
      reference: { $0[0].picked(1, [6, 3, 0]) }),
    .init(
      name: "pad with a value", shapes: [[2, 3]],
      run: { $0[0].padded(axis: 1, before: 1, total: 5, value: -2.5) },
      reference: { $0[0].picked(1, [-1, 0, 1, 2, -1]).map { $0 == 0 ? -2.5 : $0 } }),
    .init(
      name: "pick with repeats and gaps", shapes: [[2, 4, 3]],
      run: { $0[0].picked(axis: 1, [3, 0, -1, 3]) }, reference: { $0[0].picked(1, [3, 0, -1, 3]) }),
    .init(
      name: "pick nothing", shapes: [[2, 4]], run: { $0[0].picked(axis: 0, []) },
      reference: { _ in Reference([0, 4], []) }),
    .init(
      name: "pick from nothing", shapes: [[0, 4]], run: { $0[0].picked(axis: 0, [-1, -1]) },
      reference: { _ in Reference([2, 4]) { _ in 0 } }),
    .init(
      name: "roll", shapes: [[2, 5]], run: { $0[0].rolled(axis: 1, by: 7) },
      reference: { $0[0].picked(1, [3, 4, 0, 1, 2]) }),
    .init(
      name: "reflect", shapes: [[4, 2]],
      run: { $0[0].padded(axis: 0, before: 3, after: 2, mode: .reflect) },
      reference: { $0[0].picked(0, [3, 2, 1, 0, 1, 2, 3, 2, 1]) }),
    .init(
      name: "keep", shapes: [[2, 3, 4]], values: .positive,
      run: { $0[0].kept(where: Tensor([1, 0, -2], shape: [3, 1]), otherwise: -9) },
      reference: { x in
        Reference([2, 3, 4]) { $0 / 4 % 3 == 1 ? -9 : x[0].values[$0] }
      }),
  ]

  private static let functions: [OperationCase] = {
    func function(
      _ name: String, _ values: Values = .offKinks, _ run: @escaping @Sendable (Tensor) -> Tensor,
      _ formula: @escaping @Sendable (Double) -> Double
    ) -> OperationCase {
      .init(
        name: name, shapes: [[21]], values: values, run: { run($0[0]) },
        reference: { $0[0].map(formula) })
    }
    return [
      function("tanh", .normal, { $0.tanh() }, { Glibc.tanh($0) }),
      function("sqrt", .positive, { $0.sqrt() }, { Glibc.sqrt($0) }),
      function("sine", .normal, { $0.sin() }, { Glibc.sin($0) }),
      function("cosine", .normal, { $0.cos() }, { Glibc.cos($0) }),
      function("magnitude", .offKinks, { $0.abs() }, { abs($0) }),
      function("error function", .normal, { $0.erf() }, { Glibc.erf($0) }),
      function("softplus", .normal, { $0.softplus() }, { log1p(Glibc.exp($0)) }),
      function("power", .positive, { $0.power(1.7) }, { pow($0, 1.7) }),
      function("leaky relu", .offKinks, { $0.leakyReLU(slope: 0.1) }, { max($0, 0.1 * $0) }),
      function(
        "clamp", .offKinks, { $0.clamped(from: 0, to: 6) }, { min(max($0, 0), 6) }),
      function("elu", .offKinks, { $0.elu() }, { $0 > 0 ? $0 : Glibc.exp($0) - 1 }),
      function("mish", .normal, { $0.mish() }, { $0 * Glibc.tanh(log1p(Glibc.exp($0))) }),
      function(
        "hard swish", .offKinks, { ($0 + -3).hardSwish() },
        { ($0 - 3) * min(max($0, 0), 6) / 6 }),
    ]
  }()

  private static let batchedProducts: [OperationCase] =
    [1, 3, 9].flatMap { count -> [OperationCase] in
      [(false, false), (false, true), (true, false), (true, true)].map { ta, tb in
        .init(
          name: "\(count) products \(ta ? "t" : "n")\(tb ? "t" : "n")",
          shapes: [ta ? [count, 2, 3] : [count, 3, 2], tb ? [count, 4, 2] : [count, 2, 4]],
          run: { BatchedMatMul(transposeA: ta, transposeB: tb)($0[0], $0[1]) },
          reference: { x in
            (ta ? x[0].permuted([0, 2, 1]) : x[0])
              .batchedMatmul(tb ? x[1].permuted([0, 2, 1]) : x[1])
          })
      }
    } + [
      .init(
        name: "no products", shapes: [[0, 2, 3], [0, 3, 2]],
        run: { BatchedMatMul()($0[0], $0[1]) }, reference: { $0[0].batchedMatmul($0[1]) }),
      .init(
        name: "scaled dot products",
        shapes: [[2, 2, 3, 2], [2, 2, 4, 2], [2, 2, 4, 3], [2, 1, 3, 4]],
        run: { scaledDotProductAttention($0[0], $0[1], $0[2], bias: $0[3], scale: 0.4) },
        reference: { x in
          let flat = x.prefix(3).map { $0.reshaped([4] + $0.shape.suffix(2)) }
          let bias = x[3].filling([2, 2, 3, 4]).reshaped([4, 3, 4])
          let scores = flat[0].batchedMatmul(flat[1].permuted([0, 2, 1])).map { 0.4 * $0 }
          return (scores + bias).softmax().batchedMatmul(flat[2]).reshaped([2, 2, 3, 3])
        }),
    ]

  private static let generalWindows: [OperationCase] =
    [
      (
        "3x2 by 2x1, taps 1x3 apart",
        SlidingWindow(
          kernel: (3, 2), stride: (2, 1), padding: (1, 2, 0, 1), dilation: (1, 3))
      ),
      (
        "2x3 by 1x2, taps 2x2 apart",
        SlidingWindow(
          kernel: (2, 3), stride: (1, 2), padding: (0, 1, 1, 2), dilation: (2, 2))
      ),
      ("3x3, taps 2 apart", SlidingWindow(kernel: 3, padding: 2, dilation: 2)),
      ("1x1 in wide padding", SlidingWindow(kernel: 1, padding: 2)),
      ("7x5", SlidingWindow(kernel: (7, 5), padding: (3, 2, 3, 2))),
    ].flatMap { (name: String, window: SlidingWindow) -> [OperationCase] in
      let (kh, kw) = window.kernel
      let (oh, ow) = window.output([1, 5, 4, 1])
      return [
        .init(
          name: "convolution \(name)", shapes: [[1, 5, 4, 2], [3, kh, kw, 2]],
          run: { convolution($0[0], $0[1], window: window) },
          reference: { $0[0].convolved($0[1], window, groups: 1) }),
        .init(
          name: "depth-wise by groups \(name)", shapes: [[1, 5, 4, 2], [4, kh, kw, 1]],
          run: { convolution($0[0], $0[1], window: window, groups: 2) },
          reference: { $0[0].convolved($0[1], window, groups: 2) }),
        .init(
          name: "depth-wise in lanes \(name)", shapes: [[1, 5, 4, 19], [19, kh, kw, 1]],
          isLarge: true, run: { convolution($0[0], $0[1], window: window, groups: 19) },
          reference: { $0[0].convolved($0[1], window, groups: 19) }),
        .init(
          name: "transposed convolution \(name)", shapes: [[1, oh, ow, 2], [2, kh, kw, 2]],
          run: {
            ConvolutionInputGradient(window: window, input: [1, 5, 4, 2])($0[0], $0[1])
          },
          reference: { $0[0].transposeConvolved($0[1], window, height: 5, width: 4) }),
        .init(
          name: "unfold \(name)", shapes: [[2, 5, 4, 2]], run: { $0[0].unfolded(window) },
          reference: { $0[0].unfolded(window) }),
        .init(
          name: "fold \(name)", shapes: [[1, oh * ow, kh * kw, 2]],
          run: { $0[0].folded(window, height: 5, width: 4) },
          reference: { $0[0].folded(window, height: 5, width: 4) }),
      ]
    }

  private static let resamplings: [OperationCase] = [
    .init(
      name: "sparse rows of an axis", shapes: [[2, 3, 2]],
      run: {
        let weights = ResamplingWeights(
          count: 3, rows: [[(0, 0.5), (2, -1)], [], [(1, 1)], [(0, 0.25), (1, 2), (2, 1)]])
        return AxisResampling(axis: 1, weights: weights)($0[0])
      },
      reference: { x in
        let matrix = [[0.5, 0, -1], [0, 0, 0], [0, 1, 0], [0.25, 2, 1]]
        return Reference([2, 4, 2]) { i in
          (0..<3).reduce(0) { $0 + matrix[i / 2 % 4][$1] * x[0].values[i / 8 * 6 + $1 * 2 + i % 2] }
        }
      }),
    .init(
      name: "average pool", shapes: [[1, 4, 5, 2]],
      run: { $0[0].averagePooled(.init(kernel: 2, stride: 2)) },
      reference: { x in
        Reference([1, 2, 2, 2]) { i in
          let (row, column, c) = (i / 4, i / 2 % 2, i % 2)
          return (0..<4).reduce(0) {
            $0 + 0.25 * x[0][0, 2 * row + $1 / 2, 2 * column + $1 % 2, c]
          }
        }
      }),
    .init(
      name: "adaptive max pool", shapes: [[1, 5, 3, 2]], values: .distinct,
      run: { $0[0].maxPooled(height: 2, width: 2) },
      reference: { x in
        let (rows, columns) = ([0..<3, 2..<5], [0..<2, 1..<3])
        return Reference([1, 2, 2, 2]) { i in
          rows[i / 4].flatMap { row in columns[i / 2 % 2].map { x[0][0, row, $0, i % 2] } }.max()
            ?? 0
        }
      }),
  ]
}

extension Reference {
  /// Repeated to fill a shape by NumPy's rule.
  func filling(_ whole: Shape) -> Reference {
    let places = Self.places(whole.dimensions)
    let missing = whole.rank - shape.count
    return Reference(whole.dimensions) { i in
      values[offset(shape.indices.map { shape[$0] == 1 ? 0 : places[i][missing + $0] })]
    }
  }

  /// Summed over what fills it: the adjoint of ``filling(_:)``.
  func reduced(to part: Shape) -> Reference {
    var y = Reference(part.dimensions) { _ in 0 }
    let missing = shape.count - part.rank
    for place in Self.places(shape) {
      let to = (0..<part.rank).map { part[$0] == 1 ? 0 : place[missing + $0] }
      y.values[y.offset(to)] += values[offset(place)]
    }
    return y
  }

  /// Places picked from an axis; -1 gives zeros.
  func picked(_ axis: Int, _ index: [Int]) -> Reference {
    var result = shape
    result[axis] = index.count
    let places = Self.places(result)
    return Reference(result) { i in
      var from = places[i]
      from[axis] = index[from[axis]]
      return from[axis] < 0 ? 0 : values[offset(from)]
    }
  }

  /// `[B, M, K]` by `[B, K, N]`.
  func batchedMatmul(_ b: Reference) -> Reference {
    let (count, m, k, n) = (shape[0], shape[1], shape[2], b.shape[2])
    return Reference([count, m, n]) { i in
      let (batch, row, column) = (i / n / m, i / n % m, i % n)
      return (0..<k).reduce(0) { $0 + self[batch, row, $1] * b[batch, $1, column] }
    }
  }

  /// For each place and tap of a window, where in the map it is.
  private func forEachTap(
    _ w: SlidingWindow, height: Int, width: Int,
    _ body: (_ place: (Int, Int), _ tap: (Int, Int), _ at: (Int, Int)) -> Void
  ) {
    let (oh, ow) = w.output([1, height, width, 1])
    for place in Self.places([oh, ow, w.kernel.height, w.kernel.width]) {
      let y = place[0] * w.stride.height + place[2] * w.dilation.height - w.top
      let x = place[1] * w.stride.width + place[3] * w.dilation.width - w.left
      if 0..<height ~= y, 0..<width ~= x {
        body((place[0], place[1]), (place[2], place[3]), (y, x))
      }
    }
  }

  /// Cross-correlation of one image or more with `[out, kh, kw, in / groups]`.
  func convolved(_ weight: Reference, _ w: SlidingWindow, groups: Int) -> Reference {
    let (out, inputs) = (weight.shape[0], weight.shape[3])
    let (oh, ow) = w.output(Shape(shape))
    var y = Reference([shape[0], oh, ow, out]) { _ in 0 }
    forEachTap(w, height: shape[1], width: shape[2]) { place, tap, at in
      for n in 0..<shape[0] {
        for o in 0..<out {
          for i in 0..<inputs {
            y[n, place.0, place.1, o] +=
              self[n, at.0, at.1, o / (out / groups) * inputs + i] * weight[o, tap.0, tap.1, i]
          }
        }
      }
    }
    return y
  }

  /// The adjoint in the map of a cross-correlation with `[out, kh, kw, in]`.
  func transposeConvolved(
    _ weight: Reference, _ w: SlidingWindow, height: Int, width: Int
  ) -> Reference {
    let (out, inputs) = (weight.shape[0], weight.shape[3])
    var x = Reference([shape[0], height, width, inputs]) { _ in 0 }
    forEachTap(w, height: height, width: width) { place, tap, at in
      for n in 0..<shape[0] {
        for o in 0..<out {
          for i in 0..<inputs {
            x[n, at.0, at.1, i] += self[n, place.0, place.1, o] * weight[o, tap.0, tap.1, i]
          }
        }
      }
    }
    return x
  }

  /// What a window sees, `[N, places, taps, C]`.
  func unfolded(_ w: SlidingWindow) -> Reference {
    let (oh, ow) = w.output(Shape(shape))
    var y = Reference([shape[0], oh * ow, w.kernel.height * w.kernel.width, shape[3]]) { _ in 0 }
    forEachTap(w, height: shape[1], width: shape[2]) { place, tap, at in
      for n in 0..<shape[0] {
        for c in 0..<shape[3] {
          y[n, place.0 * ow + place.1, tap.0 * w.kernel.width + tap.1, c] = self[n, at.0, at.1, c]
        }
      }
    }
    return y
  }

  /// A map of what a window sees of it, summed.
  func folded(_ w: SlidingWindow, height: Int, width: Int) -> Reference {
    let (_, ow) = w.output([1, height, width, 1])
    var x = Reference([shape[0], height, width, shape[3]]) { _ in 0 }
    forEachTap(w, height: height, width: width) { place, tap, at in
      for n in 0..<shape[0] {
        for c in 0..<shape[3] {
          x[n, at.0, at.1, c] += self[n, place.0 * ow + place.1, tap.0 * w.kernel.width + tap.1, c]
        }
      }
    }
    return x
  }
}
