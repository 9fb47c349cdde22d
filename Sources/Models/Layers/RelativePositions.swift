import Tensors

/// Tables of what is added to the scores of a query and a key in one window, by their offset (Liu et al.
/// 2021).
enum RelativePositions {
  /// Which way an offset is counted.
  enum Sign: Int {
    case queryMinusKey = 1
    case keyMinusQuery = -1
  }

  /// A table `[(2 w - 1)², heads]` as a bias `[heads, T, T]`, `T = w²`.
  static func bias(_ table: Tensor, window: Int, _ sign: Sign) -> Tensor {
    let (area, side, heads) = (window * window, 2 * window - 1, table.shape.last)
    let index = (0..<(area * area)).map { pair in
      let (query, key) = (pair / area, pair % area)
      let down = sign.rawValue * (query / window - key / window) + window - 1
      let across = sign.rawValue * (query % window - key % window) + window - 1
      return Int32(down * side + across)
    }
    return table.gatherRows(index, rowsIn: side * side).reshaped([area * area, heads])
      .permuted([1, 0]).reshaped([heads, area, area])
  }

  /// A table `[2 w - 1, 2 w - 1]` that all heads share, of offsets from query to key: the published code of
  /// xxxnell/how-do-vits-work.
  static func shared(_ table: Tensor, window: Int, heads: Int) -> Tensor {
    let area = window * window
    return bias(table.reshaped([table.shape.count, 1]), window: window, .keyMinusQuery)
      .reshaped([area, area]).repeated(heads)
  }
}
