import Tensors
import Testing

@testable import Models

/// Biases by offset, and the masks of shifted windows.
@Suite struct RelativePositionsTests {
  /// timm 1.0.31: `resize_rel_pos_bias_table` of a table whose row r is r², for windows of other sides.
  static let resized: [(stored: Int, window: Int, values: [Double])] = [
    (4, 5, [0, 0.5892, 1.69722, 4, 9, 16, 22.90833, 29.51883, 36]),
    (
      7, 8,
      [
        0, 0.74233, 2.54328, 5.60454, 10.168, 16.52065, 25, 36, 49, 63.13225, 78.16344, 93.90275,
        110.19704, 126.92637, 144,
      ]
    ),
    (7, 4, [9.20657, 16.08912, 25, 36, 49, 63.85147, 80.49833]),
    (4, 3, [1.02971, 4, 9, 16, 24.91088]), (2, 7, [0, 0, 0, 0, 0, 0, 1, 4, 4, 4, 4, 4, 4]),
  ]

  @Test(arguments: resized)
  func tablesAreInterpolatedAsInTimm(_ stored: Int, _ window: Int, _ expected: [Double]) {
    let weights = RelativePositions.axisWeights(2 * stored - 1, 2 * window - 1)
    #expect(weights.count == expected.count)
    for (row, value) in zip(weights, expected) {
      let own = row.enumerated().reduce(0) { $0 + $1.element * Double($1.offset * $1.offset) }
      #expect(abs(own - value) < 2e-5 * max(1, value), "\(own) for \(value)")
    }
  }

  @Test func everyPairTakesTheRowOfItsOffset() {
    // One head whose value is the row's number.
    let table = Tensor((0..<9).map(Float.init), shape: [9, 1])
    let bias = RelativePositions.bias(table, stored: 2, window: 2, sign: .queryMinusKey)
    #expect(bias.shape == [1, 4, 4])
    // Tokens 0, 1 / 2, 3: offset query minus key, three columns a row, (0, 0) is row 4.
    #expect(
      bias.values == [4, 3, 1, 0, 5, 4, 2, 1, 7, 6, 4, 3, 8, 7, 5, 4])
    let turned = RelativePositions.bias(table, stored: 2, window: 2, sign: .keyMinusQuery)
    #expect(turned.values == [4, 5, 7, 8, 3, 4, 6, 7, 1, 2, 4, 5, 0, 1, 3, 4])
  }

  /// The regions of Liu et al., cell by cell on the map: a pair sees each other within a region.
  @Test(arguments: [(8, 8, 4), (12, 8, 4), (7, 7, 7), (9, 11, 4), (6, 6, 3), (16, 4, 2)])
  func masksAreThoseOfTheRegions(_ height: Int, _ width: Int, _ window: Int) {
    let half = window / 2
    let shift = (height <= window ? 0 : half, width <= window ? 0 : half)
    let plan = WindowPlan(
      height: height, width: width, window: window, shift: shift, shiftsPadding: false,
      mask: .regions)
    let (down, across) = ((height + window - 1) / window, (width + window - 1) / window)
    let tokens = window * window
    let bias = plan.bias(Tensor(repeating: 0, shape: [1, tokens, tokens])).values
    #expect(plan.layout.biases.count == down * across)
    #expect(bias.count <= 9 * tokens * tokens)
    func region(_ at: Int, _ size: Int, _ shift: Int) -> Int {
      shift == 0 || at < size - window ? 0 : at < size - shift ? 1 : 2
    }
    for (place, kind) in plan.layout.biases.enumerated() {
      let (top, left) = (place / across * window, place % across * window)
      func cell(_ token: Int) -> [Int] {
        [
          region(top + token / window, down * window, shift.0),
          region(left + token % window, across * window, shift.1),
        ]
      }
      for pair in 0..<(tokens * tokens) {
        let expected: Float = cell(pair / tokens) == cell(pair % tokens) ? 0 : -100
        #expect(bias[Int(kind) * tokens * tokens + pair] == expected)
      }
    }
  }

  @Test func aLargeMapHasAHandfulOfMasks() {
    let plan = WindowPlan(
      height: 1024, width: 1024, window: 8, shift: (4, 4), shiftsPadding: false, mask: .regions)
    #expect(plan.layout.windows == 128 * 128)
    #expect(Set(plan.layout.biases).count == 4)
  }
}
