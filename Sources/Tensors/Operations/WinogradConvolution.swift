import CKernels

/// A 3x3 cross-correlation with stride 1 by transformed tiles: see `winograd.h`. Also the adjoint of one
/// in its map, which is the same with filters turned around.
struct WinogradConvolution {
  fileprivate let geometry: ck_winograd
  private let isAdjoint: Bool

  /// Nil where the window is another or plain products take less time.
  init?(_ window: SlidingWindow, _ input: Shape, _ output: Shape) {
    self.init(window, input, output, top: window.top, left: window.left, isAdjoint: false)
  }

  /// The adjoint, from the shape of the results' cotangent to that of the map.
  init?(adjointOf window: SlidingWindow, _ cotangent: Shape, _ map: Shape) {
    self.init(
      window, cotangent, map, top: 2 - window.top, left: 2 - window.left, isAdjoint: true)
  }

  private init?(
    _ window: SlidingWindow, _ input: Shape, _ output: Shape, top: Int, left: Int, isAdjoint: Bool
  ) {
    guard window.kernel == (3, 3), window.stride == (1, 1), window.dilation == (1, 1),
      input[3] % CK_WINOGRAD_CHANNELS == 0,
      output[3] % CK_WINOGRAD_CHANNELS == 0
    else { return nil }
    geometry = ck_winograd(
      n: input[0], h: input[1], w: input[2], oh: output[1], ow: output[2], pad_top: top,
      pad_left: left)
    self.isAdjoint = isAdjoint
    // A tile costs as much as four rows of a plain product; the filters, as about 140.
    guard output[0] * output[1] * output[2] > 4 * tiles + 140 else { return nil }
  }

  fileprivate var tiles: Int {
    let extent = CK_WINOGRAD_EXTENT
    return geometry.n * ((geometry.oh + extent - 1) / extent)
      * ((geometry.ow + extent - 1) / extent)
  }

  /// The transformed filters of weights `[out, 3, 3, in]`, as panels.
  private func filters(_ weight: Tensor) -> Tensor {
    let (out, channels) = (weight.shape[0], weight.shape[3])
    let (k, n) = isAdjoint ? (out, channels) : (channels, out)
    let products = CK_WINOGRAD_PRODUCTS
    let result = Tensor(uninitialized: [products, ck_panels_count(Int32(CK_FLOAT32), k, n)])
    let (from, to) = (weight.memory, result.memory)
    Threads.forEachTile(of: n, target: 1, unit: ck_winograd_columns()) { first, count in
      guard count > 0 else { return }
      let done = ck_winograd_filters(
        from.pointer, out, channels, isAdjoint ? 1 : 0, first, count, to.pointer)
      precondition(done != 0, "The system has no memory left for transformed filters")
    }
    return result
  }

  /// `y = activation(affine(x * weight) + residual)`.
  func run(
    _ x: Tensor, _ weight: Tensor, into y: Tensor, affine: ChannelAffine? = nil,
    residual: Tensor? = nil, activation: Activation = .none
  ) {
    let (k, n) = (x.shape[3], y.shape[3])
    let filters = filters(weight)
    let operand = filters.shape[1]
    let products = CK_WINOGRAD_PRODUCTS
    let (px, pf, py) = (x.memory, filters.memory, y.memory)
    let (scale, shift) = (
      affine.map { $0.scale.memory },
      affine.map { $0.shift.memory }
    )
    let rest = residual.map(\.memory)
    Threads.forEachTile(of: tiles, target: 96, unit: Panels.rowUnit) { first, count in
      let tilesIn = ScratchMemory(.operand, products * count * k)
      let tilesOut = ScratchMemory(.result, products * count * n)
      let (transformed, results) = (tilesIn.pointer, tilesOut.pointer)
      withUnsafePointer(to: geometry) {
        ck_winograd_input(px.pointer, $0, k, first, count, transformed, count)
        for product in 0..<products {
          _ = ck_product(
            Int32(CK_FLOAT32), count, n, k, 1, transformed + product * count * k, k, 0,
            pf + product * operand, results + product * count * n, n, 0)
        }
        ck_winograd_output(
          results, $0, n, first, count, py.pointer, scale?.pointer, shift?.pointer, rest?.pointer,
          activation.code)
      }
    }
    withExtendedLifetime(filters) {}
  }
}

/// The gradient by the filters of a convolution that ``WinogradConvolution`` carries out: with the map and
/// the results' cotangent transformed, a product over all tiles for each of its points.
struct WinogradWeightGradient {
  private let convolution: WinogradConvolution

  /// Nil where the window is another or plain products take less time.
  init?(_ window: SlidingWindow, _ map: Shape, _ cotangent: Shape) {
    guard let convolution = WinogradConvolution(window, map, cotangent) else { return nil }
    self.convolution = convolution
  }

  /// Tiles transformed at once: long sums, of which both operands stay in the outer caches.
  private func tilesAtOnce(_ k: Int, _ n: Int) -> Int { max(192, min(768, (1 << 16) / (k + n))) }

  /// Writes the gradient `[out, 3, 3, in]`, given the map `[N, H, W, in]` and the cotangent `[N, H', W', out]`.
  func run(_ x: Tensor, _ dy: Tensor, into dw: Tensor) {
    let (channels, out) = (x.shape[3], dy.shape[3])
    let products = CK_WINOGRAD_PRODUCTS
    let all = convolution.tiles
    let step = min(all, tilesAtOnce(channels, out))
    let map = Tensor(uninitialized: [products, step, channels])
    let cotangent = Tensor(uninitialized: [products, step, out])
    let sums = Tensor(uninitialized: [products, out, channels])
    let (px, pd, pw) = (x.memory, dy.memory, dw.memory)
    let (pv, pz, pm) = (map.memory, cotangent.memory, sums.memory)
    for start in stride(from: 0, to: all, by: step) {
      let count = min(step, all - start)
      // The transforms lay their points out for the tiles of one call; here, all calls' make one matrix.
      Threads.forEachTile(of: count, target: 24) { first, tiles in
        withUnsafePointer(to: convolution.geometry) {
          ck_winograd_input(
            px.pointer, $0, channels, start + first, tiles, pv + first * channels, count)
          ck_winograd_cotangent(pd.pointer, $0, out, start + first, tiles, pz + first * out, count)
        }
      }
      Threads.forEach(products) { product in
        gemm(
          out, channels, count, pz + product * count * out, lda: out, transposeA: true,
          pv + product * count * channels, ldb: channels, pm + product * out * channels,
          ldc: channels, adding: start > 0)
      }
    }
    Threads.forEachTile(of: out, target: max(1, (1 << 13) / channels)) { first, count in
      ck_winograd_weight_gradient(pm.pointer, out, channels, first, count, pw.pointer)
    }
    withExtendedLifetime((map, cotangent, sums)) {}
  }
}
