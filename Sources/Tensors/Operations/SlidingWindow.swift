import CKernels

/// Where a window lies on a channels-last map: kernel, stride, zero padding, and how far apart its taps are.
public struct SlidingWindow: Sendable, Hashable, Codable {
  /// One number for rows and one for columns.
  public typealias Extents = (height: Int, width: Int)

  /// Kernel extents, rows and columns.
  public var kernel: Extents { (kernelHeight, kernelWidth) }
  /// Places from one window to the next.
  public var stride: Extents { (strideHeight, strideWidth) }
  /// Places from one tap to the next.
  public var dilation: Extents { (dilationHeight, dilationWidth) }
  /// Zeros around the map: top, left, bottom, right.
  public var padding: (Int, Int, Int, Int) { (top, left, bottom, right) }
  let kernelHeight, kernelWidth: Int
  private let strideHeight, strideWidth: Int
  private let dilationHeight, dilationWidth: Int
  let top, left, bottom, right: Int
  let ceilMode: Bool

  /// A square window with the same padding on all sides.
  public init(
    kernel: Int, stride: Int = 1, padding: Int = 0, dilation: Int = 1, ceilMode: Bool = false
  ) {
    self.init(
      kernel: (kernel, kernel), stride: (stride, stride),
      padding: (padding, padding, padding, padding), dilation: (dilation, dilation),
      ceilMode: ceilMode)
  }

  /// A window with padding (top, left, bottom, right).
  ///
  /// - Parameters:
  ///   - ceilMode: whether a last window may reach beyond the map and its padding, as PyTorch's pools.
  /// - Precondition: kernel, stride and dilation are positive.
  public init(
    kernel: Extents, stride: Extents = (1, 1), padding: (Int, Int, Int, Int) = (0, 0, 0, 0),
    dilation: Extents = (1, 1), ceilMode: Bool = false
  ) {
    precondition(
      min(kernel.height, kernel.width, stride.height, stride.width) > 0
        && min(dilation.height, dilation.width) > 0, "An empty window or step")
    (kernelHeight, kernelWidth) = kernel
    (strideHeight, strideWidth) = stride
    (dilationHeight, dilationWidth) = dilation
    (top, left, bottom, right) = padding
    self.ceilMode = ceilMode
  }

  /// Places from the first tap of the window to the last, these included.
  var reach: Extents {
    ((kernelHeight - 1) * dilationHeight + 1, (kernelWidth - 1) * dilationWidth + 1)
  }

  /// The extents that result from a map's; nil where the window does not fit one of them.
  public func extents(height: Int, width: Int) -> Extents? {
    guard
      let rows = extent(height, reach.height, strideHeight, top, bottom),
      let columns = extent(width, reach.width, strideWidth, left, right)
    else { return nil }
    return (rows, columns)
  }

  private func extent(_ size: Int, _ reach: Int, _ stride: Int, _ before: Int, _ after: Int) -> Int?
  {
    let room = size + before + after - reach
    guard room >= 0 else { return nil }
    let floor = room / stride + 1
    // As PyTorch: a last, partial window must start inside the map or its left padding.
    guard ceilMode, room % stride != 0, floor * stride < size + before else { return floor }
    return floor + 1
  }

  /// The extents that result from a map `[N, H, W, C]`.
  ///
  /// - Precondition: the window fits it.
  func output(_ map: Shape) -> Extents {
    guard let extents = extents(height: map[1], width: map[2]) else {
      preconditionFailure(
        "A window of \(reach) with padding \((top, left, bottom, right)) does not fit \(map)")
    }
    return extents
  }

  var isPointwise: Bool {
    kernel == (1, 1) && stride == (1, 1) && (top, left, bottom, right) == (0, 0, 0, 0)
  }

  func geometry(_ map: Shape) -> ck_window {
    let (oh, ow) = output(map)
    return ck_window(
      n: map[0], h: map[1], w: map[2], c: map[3], oh: oh, ow: ow, kh: kernelHeight,
      kw: kernelWidth, stride_h: strideHeight, stride_w: strideWidth, pad_top: top,
      pad_left: left, dilation_h: dilationHeight, dilation_w: dilationWidth)
  }

  /// The window on each of the phases of a map that its taps, some places apart, do not leave: see
  /// ``dilatedConvolution(_:dilation:_:)``. Nil where the window moves otherwise or the extents change.
  func phases(of map: Shape) -> SlidingWindow? {
    let d = dilationHeight
    guard d > 1, d == dilationWidth, stride == (1, 1), kernelHeight > 1, kernelWidth > 1,
      [top, left, bottom, right].allSatisfy({ $0.isMultiple(of: d) }),
      output(map) == (map[1], map[2])
    else { return nil }
    return SlidingWindow(
      kernel: kernel, padding: (top / d, left / d, bottom / d, right / d))
  }
}
