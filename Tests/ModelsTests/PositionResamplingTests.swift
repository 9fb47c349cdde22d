import Tensors
import Testing

@testable import Models

@Suite struct PositionResamplingTests {
  @Test(arguments: PositionResampling.allCases)
  func weightsSumToOneAndKeepAGrid(_ kind: PositionResampling) {
    for (from, to) in [(4, 7), (7, 4), (14, 14), (37, 16), (1, 3), (5, 1)] {
      let weights = kind.weights(from, to)
      #expect(weights.count == to)
      for row in weights { #expect(abs(row.reduce(0, +) - 1) < 1e-12) }
    }
    for (place, row) in kind.weights(6, 6).enumerated() {
      for (j, weight) in row.enumerated() { #expect(abs(weight - (j == place ? 1 : 0)) < 1e-12) }
    }
  }

  /// torch.nn.functional.interpolate in float64 of [0, 1, 4, 9] to 6 places.
  @Test func knownValues() {
    let values = [0.0, 1, 4, 9]
    func apply(_ kind: PositionResampling) -> [Double] {
      kind.weights(4, 6).map { zip($0, values).reduce(0) { $0 + $1.0 * $1.1 } }
    }
    let expected: [(PositionResampling, [Double])] = [
      (
        .antialiased,
        [
          -0.0657894736842, 0.294117647059, 1.36111111111, 3.36111111111, 6.82352941176,
          9.32894736842,
        ]
      ),
      (
        .bicubic,
        [-0.0868055555556, 0.21875, 1.43055555556, 3.15277777778, 6.78125, 9.43402777778]
      ),
      (
        .bilinear,
        [0, 0.5, 1.5, 3.5, 6.5, 9]
      ),
      (
        .bilinearAlignedCorners,
        [0, 0.6, 1.6, 3.4, 6, 9]
      ),
    ]
    for (kind, golden) in expected {
      for (own, value) in zip(apply(kind), golden) { #expect(abs(own - value) < 1e-9, "\(kind)") }
    }
  }

  @Test func rowsOfAGridAreMixedByProduct() {
    // A plane stays a plane away from the border.
    let rows = Tensor((0..<36).map { Float($0 / 6) + 10 * Float($0 % 6) }, shape: [36, 1])
    let grown = PositionResampling.bilinearAlignedCorners(rows, from: (6, 6), to: (11, 11)).values
    for index in 0..<121 {
      #expect(abs(grown[index] - (Float(index / 11) + 10 * Float(index % 11)) / 2) < 1e-5)
    }
  }
}
