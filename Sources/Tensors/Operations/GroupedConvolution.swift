import CKernels

/// A convolution whose channels are cut into groups, each of which sees its own alone: `[N, H, W, in]` by
/// `[out, kh, kw, in / groups]`.
///
/// Groups of one channel are a depth-wise convolution; narrow ones are read where they lie
/// (``GroupedConvolution``); wide ones are a convolution each.
func groupedConvolution(
  _ x: Tensor, _ weight: Tensor, window: SlidingWindow, groups: Int
) -> Tensor {
  let (inputs, outputs) = (weight.shape[3], weight.shape[0] / max(1, groups))
  precondition(
    groups > 0 && x.shape[3] == groups * inputs && weight.shape[0] == groups * outputs,
    "Weights \(weight.shape) in \(groups) groups do not fit a map \(x.shape)")
  if inputs == 1 {
    let channels =
      outputs == 1 ? x : x.picked(axis: 3, (0..<weight.shape[0]).map { Int32($0 / outputs) })
    return channels.locallyMixed(depthwiseKernels(weight), window: window)
  }
  if let narrow = GroupedConvolution(window, weight.shape, groups: groups) {
    return narrow(x, weight)
  }
  let parts = (0..<groups).map { group in
    Convolution(window: window)(
      x.slice(axis: 3, start: group * inputs, length: inputs),
      weight.slice(axis: 0, start: group * outputs, length: outputs))
  }
  return Tensor.concatenated(parts, axis: 3)
}

/// A convolution in groups of few channels: inputs a map `[N, H, W, in]` and weights `[out, kh, kw, in / groups]`.
///
/// A product of so few columns would wait for its operands; here a vector of the result's channels is summed for
/// several places at once, from the map as it lies (`CKernels/grouped_convolution.c`).
struct GroupedConvolution: Operation {
  private let window: SlidingWindow
  private let groups: Int

  /// Nil where groups are as wide as products need, or a channel each.
  init?(_ window: SlidingWindow, _ weight: Shape, groups: Int) {
    guard groups > 1, 2...32 ~= weight[3], window.taps <= CK_GROUPS_TAPS else { return nil }
    (self.window, self.groups) = (window, groups)
    var channels = channels(weight)
    guard ck_groups_fit(&channels) != 0 else { return nil }
  }

  private func channels(_ weight: Shape) -> ck_groups {
    ck_groups(groups: groups, in: groups * weight[3], out: weight[0])
  }

  func outputShape(_ x: [Shape]) -> Shape {
    Convolution(window: window)
      .outputShape([x[0].replacingLast(x[0].last / groups), x[1]])
  }
  func multiplyAdds(_ x: [Shape], _ y: Shape) -> Int { y.rows.times(x[1].count) }

  func forward(_ x: [Tensor], into y: Tensor) { sweep(x[0], x[1], into: y) { _, _ in } }

  /// - Parameters:
  ///   - finish: what follows, on rows of the result while they are in cache: the number of the first among
  ///     those of all images, and how many.
  func sweep(
    _ map: Tensor, _ weight: Tensor, into y: Tensor,
    _ finish: @Sendable (_ first: Int, _ count: Int) -> Void
  ) {
    let (geometry, channels) = (window.geometry(map.shape), channels(weight.shape))
    let packed = withUnsafePointer(to: channels) {
      let packed = Tensor(uninitialized: [ck_groups_count($0, window.taps)])
      ck_pack_groups(weight.pointer, $0, window.taps, packed.memory.pointer)
      return packed
    }
    let (px, pw, py) = (map.memory, packed.memory, y.memory)
    forEachMapRow(of: y.shape) { first, count in
      withUnsafePointers(geometry, channels) {
        ck_convolve_groups(px.pointer, pw.pointer, py.pointer, $0, $1, first, count)
      }
      finish(first, count)
    }
    withExtendedLifetime(packed) {}
  }

  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }

  /// Several groups together, as one convolution whose weights between them are zero: a product needs some width.
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    let (map, weight) = (x[0].shape, x[1].shape)
    let (inputs, outputs) = (weight[3], weight[0] / groups)
    let together = (1...groups).last { groups.isMultiple(of: $0) && $0 * inputs <= 32 } ?? 1
    let (partIn, partOut) = (together * inputs, together * outputs)
    var (dx, dw): ([Tensor], [Tensor]) = ([], [])
    for first in stride(from: 0, to: groups, by: together) {
      let cotangent = dy.slice(axis: 3, start: first * outputs, length: partOut)
      if needs[0] {
        let rows = (0..<together).map { place in
          x[1].slice(axis: 0, start: (first + place) * outputs, length: outputs)
            .padded(axis: 3, before: place * inputs, total: partIn)
        }
        dx.append(
          ConvolutionInputGradient(window: window, input: map.replacingLast(partIn))(
            cotangent, Tensor.concatenated(rows, axis: 0)))
      }
      if needs[1] {
        let part = ConvolutionWeightGradient(
          window: window, weight: [partOut, weight[1], weight[2], partIn])(
            x[0].slice(axis: 3, start: first * inputs, length: partIn), cotangent)
        for place in 0..<together {
          dw.append(
            part.slice(axis: 0, start: place * outputs, length: outputs)
              .slice(axis: 3, start: place * inputs, length: inputs))
        }
      }
    }
    return [
      needs[0] ? Tensor.concatenated(dx, axis: 3) : nil,
      needs[1] ? Tensor.concatenated(dw, axis: 0) : nil,
    ]
  }
}

/// A convolution of stride 1 whose taps lie `dilation` places apart and that keeps the extent: the map is
/// cut into its `dilation`² phases, which do not meet.
func dilatedConvolution(_ x: Tensor, dilation d: Int, _ convolve: (Tensor) -> Tensor) -> Tensor {
  let (images, height, width, channels) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
  let (rows, columns) = ((height + d - 1) / d, (width + d - 1) / d)
  let phases = x.padded(axis: 1, before: 0, total: rows * d)
    .padded(axis: 2, before: 0, total: columns * d)
    .reshaped([images, rows, d, columns, d, channels]).permuted([0, 2, 4, 1, 3, 5])
    .reshaped([images * d * d, rows, columns, channels])
  let y = convolve(phases)
  precondition(
    y.shape[1] == rows && y.shape[2] == columns, "A dilated convolution that changes the extent")
  let out = y.shape[3]
  return y.reshaped([images, d, d, rows, columns, out]).permuted([0, 3, 1, 4, 2, 5])
    .reshaped([images, rows * d, columns * d, out])
    .slice(axis: 1, start: 0, length: height).slice(axis: 2, start: 0, length: width)
}

/// The adjoint of a convolution in its map: a map `[N, H, W, in]` and weights `[in, kh, kw, out / groups]`
/// give `[N, H', W', out]`, with `H' = (H - 1) stride - padding + reach + outputPadding`, as PyTorch's
/// transposed convolution.
///
/// - Parameters:
///   - window: that of the convolution from the result to `x`.
/// - Precondition: that convolution does lead to the extents of `x`.
public func transposedConvolution(
  _ x: Tensor, _ weight: Tensor, window: SlidingWindow,
  outputPadding: SlidingWindow.Extents = (0, 0), groups: Int = 1
) -> Tensor {
  let (inputs, outputs) = (weight.shape[0] / groups, weight.shape[3])
  let height =
    (x.shape[1] - 1) * window.stride.height - window.top - window.bottom + window.reach.height
    + outputPadding.height
  let width =
    (x.shape[2] - 1) * window.stride.width - window.left - window.right + window.reach.width
    + outputPadding.width
  let parts = (0..<groups).map { group in
    ConvolutionInputGradient(window: window, input: [x.shape[0], height, width, outputs])(
      x.slice(axis: 3, start: group * inputs, length: inputs),
      weight.slice(axis: 0, start: group * inputs, length: inputs))
  }
  return parts.count == 1 ? parts[0] : .concatenated(parts, axis: 3)
}
