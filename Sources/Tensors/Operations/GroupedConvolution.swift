/// A convolution whose channels are cut into groups, each of which sees its own alone: `[N, H, W, in]` by
/// `[out, kh, kw, in / groups]`.
///
/// Groups of few channels are computed together, as one convolution whose weights between them are zero:
/// a product needs some width to be fast. Groups of one channel are a depth-wise convolution.
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
  let together = (1...groups).last { groups.isMultiple(of: $0) && $0 * inputs <= 32 } ?? 1
  let parts = stride(from: 0, to: groups, by: together).map { first in
    let rows = (0..<together).map { place in
      weight.slice(axis: 0, start: (first + place) * outputs, length: outputs)
        .padded(axis: 3, before: place * inputs, total: together * inputs)
    }
    let channels = x.slice(axis: 3, start: first * inputs, length: together * inputs)
    return Convolution(window: window)(channels, Tensor.concatenated(rows, axis: 0))
  }
  return Tensor.concatenated(parts, axis: 3)
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
