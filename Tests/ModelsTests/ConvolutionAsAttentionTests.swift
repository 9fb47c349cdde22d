import Models
import Tensors
import Testing

/// Theorem 1 of Cordonnier et al. 2020: a convolution is an attention layer of a head a tap.
@Suite struct ConvolutionAsAttentionTests {
  private func values(_ name: String, _ shape: [Int]) -> Tensor {
    DeterministicFill.values(name, shape, isInput: true)
  }

  @Test(arguments: [(3, 3), (5, 5), (3, 1), (1, 1)])
  func itEqualsTheConvolution(_ rows: Int, _ columns: Int) {
    let x = values("x", [2, 7, 6, 4])
    let kernel = values("kernel", [5, rows, columns, 4])
    let bias = values("bias", [5])
    let layer = ConvolutionAsAttention(kernel: kernel, bias: bias)
    #expect(layer.heads == rows * columns)
    let (down, across) = (rows / 2, columns / 2)
    // Everywhere that of a map whose edge is repeated, which inside is that of any padding.
    let edged = x.padded(axis: 1, before: down, after: down, mode: .replicate)
      .padded(axis: 2, before: across, after: across, mode: .replicate)
    let affine = ChannelAffine(scale: Tensor(repeating: 1, shape: [5]), shift: bias)
    let expected = convolution(
      edged, kernel, window: SlidingWindow(kernel: (rows, columns)), affine: affine)
    let padded = convolution(
      x, kernel,
      window: SlidingWindow(kernel: (rows, columns), padding: (down, across, down, across)),
      affine: affine)
    let own = layer(x)
    #expect(own.shape == [2, 7, 6, 5])
    func inside(_ y: Tensor) -> [Float] {
      y.slice(axis: 1, start: down, length: 7 - 2 * down)
        .slice(axis: 2, start: across, length: 6 - 2 * across).values
    }
    for (a, b) in zip(own.values, expected.values) { #expect(abs(a - b) < 1e-5) }
    for (a, b) in zip(inside(own), inside(padded)) { #expect(abs(a - b) < 1e-5) }
    // At the edge it is not the convolution of a map among zeros.
    if rows > 1 { #expect(zip(own.values, padded.values).contains { abs($0 - $1) > 1e-3 }) }
  }

  @Test func aHeadLooksAtItsTap() {
    let layer = ConvolutionAsAttention(kernel: values("kernel", [1, 3, 3, 1]))
    let maps = layer.maps(height: 4, width: 4)
    #expect(maps.shape == [9, 16, 16])
    let weights = maps.values
    // Head 2 is the tap above to the right; place (2, 1) sees (1, 2).
    #expect(abs(weights[(2 * 16 + 9) * 16 + 6] - 1) < 1e-6)
    // From a corner, the place of the map next to the tap.
    #expect(abs(weights[(2 * 16 + 0) * 16 + 1] - 1) < 1e-6)
    // The vector of the paper: -α (1, -2 Δ).
    #expect(Array(layer.positionQueries.values[6..<9]) == [-64, -128, 128])
  }

  /// With a small sharpness heads are soft, and the layer is no convolution any more.
  @Test func aSoftHeadIsNoTap() {
    let (x, kernel) = (values("x", [1, 6, 6, 2]), values("kernel", [2, 3, 3, 2]))
    let sharp = ConvolutionAsAttention(kernel: kernel)(x).values
    let soft = ConvolutionAsAttention(kernel: kernel, sharpness: 0.5)(x).values
    #expect(zip(sharp, soft).contains { abs($0 - $1) > 1e-2 })
  }
}
