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

  /// Two products, one an axis, are the product with both weights.
  @Test(arguments: PositionResampling.allCases)
  func axesAreSeparate(_ kind: PositionResampling) {
    let rows = DeterministicFill.values("rows", [12, 2])
    let (down, across) = (kind.weights(3, 5), kind.weights(4, 2))
    let own = kind(rows, from: (3, 4), to: (5, 2)).values
    for y in 0..<5 {
      for x in 0..<2 {
        for channel in 0..<2 {
          var sum = 0.0
          for i in 0..<3 {
            for j in 0..<4 {
              sum += down[y][i] * across[x][j] * Double(rows.values[(i * 4 + j) * 2 + channel])
            }
          }
          #expect(abs(Double(own[(y * 2 + x) * 2 + channel]) - sum) < 1e-6)
        }
      }
    }
  }

  /// Kept for the next minibatch, and made anew where it is differentiated.
  @Test func aTableIsResampledOnceForAGrid() {
    let rows = DeterministicFill.values("rows", [16, 3])
    let table = PositionTable(rows, grid: (4, 4), .bicubic)
    let first = table(height: 6, width: 5)
    #expect(first.values == PositionResampling.bicubic(rows, from: (4, 4), to: (6, 5)).values)
    let again = table(height: 6, width: 5)
    let isSame = first.withValues { a in again.withValues { b in a.baseAddress == b.baseAddress } }
    #expect(isSame)
    #expect(table(height: 2, width: 2).shape == [4, 3])
    #expect(table(height: 4, width: 4).values == rows.values)
    #expect(PositionTable(rows.tracked(), grid: (4, 4), .bicubic)(height: 6, width: 5).isTracked)
  }
}
