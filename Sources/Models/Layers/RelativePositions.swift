import Tensors

/// Biases of attention scores by the offset of two tokens in a window (Liu et al. 2021).
enum RelativePositions {
  /// Which way an offset is counted.
  enum Sign: Int {
    case queryMinusKey = 1
    case keyMinusQuery = -1
  }

  /// The bias of each pair of tokens, `[heads, T, T]`.
  ///
  /// - Parameters:
  ///   - table: `[(2 w - 1)², heads]`, by the offset down and across.
  ///   - stored: the side `w` of the windows that the table is for.
  ///   - window: the side of the windows wanted; for another than the table's it is interpolated.
  ///   - sign: which way offsets are counted.
  static func bias(_ table: Tensor, stored: Int, window: Int, sign: Sign) -> Tensor {
    let (from, to, heads) = (2 * stored - 1, 2 * window - 1, table.shape.last)
    let rows =
      from == to
      ? table
      : resampled(
        table, from: (from, from), vertical: axisWeights(from, to),
        horizontal: axisWeights(from, to))
    let area = window * window
    var offsets: [Int32] = []
    offsets.reserveCapacity(area * area)
    for query in 0..<area {
      for key in 0..<area {
        let down = sign.rawValue * (query / window - key / window) + window - 1
        let across = sign.rawValue * (query % window - key % window) + window - 1
        offsets.append(Int32(down * to + across))
      }
    }
    return rows.gatherRows(offsets, rowsIn: to * to).reshaped([area * area, heads])
      .permuted([1, 0]).reshaped([heads, area, area])
  }

  /// The same of one table `[2 w - 1, 2 w - 1]` by the offset key minus query, shared by all heads.
  static func shared(_ table: Tensor, stored: Int, window: Int, heads: Int) -> Tensor {
    let (side, area) = (2 * stored - 1, window * window)
    return bias(
      table.reshaped([side * side, 1]), stored: stored, window: window, sign: .keyMinusQuery
    )
    .reshaped([area, area]).repeated(heads)
  }

  /// The weights `[to][from]` along one axis, as in timm's `resize_rel_pos_bias_table` (from BEiT's
  /// code): the old offsets are spread in geometric progression over the new ones, and values are
  /// linear between them.
  static func axisWeights(_ from: Int, _ to: Int) -> [[Double]] {
    // The progression's ratio, by bisection.
    var (low, high, ratio) = (1.01, 1.5, 1.01)
    while high - low > 1e-6 {
      ratio = (low + high) / 2
      let reach = (1 - power(ratio, from / 2)) / (1 - ratio)
      if reach > Double(to / 2) { high = ratio } else { low = ratio }
    }
    var distances: [Double] = []
    var distance = 1.0
    for index in 0..<(from / 2) {
      distances.append(distance)
      distance += power(ratio, index + 1)
    }
    let places = distances.reversed().map { -$0 } + [0] + distances
    return (0..<to).map { index in
      let place = Double(index - to / 2)
      var row = [Double](repeating: 0, count: from)
      let right = places.firstIndex { $0 >= place } ?? from - 1
      let left = max(right - 1, 0)
      let (before, after) = (max(place - places[left], 0), max(places[right] - place, 0))
      if before + after == 0 {
        row[right] = 1
      } else {
        row[left] += after / (before + after)
        row[right] += before / (before + after)
      }
      return row
    }
  }

  private static func power(_ base: Double, _ exponent: Int) -> Double {
    (0..<exponent).reduce(1) { value, _ in value * base }
  }
}
