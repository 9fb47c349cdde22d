/// Snapshots that are read one after the other: however many there are, a few are in memory at once.
public struct SnapshotStream {
  /// Snapshots.
  public let count: Int
  private let held: Int
  private let read: (Int) throws -> [Double]

  /// - Parameters:
  ///   - count: how many there are.
  ///   - held: how many may be in memory at once, besides the one that is read.
  ///   - read: the row of a snapshot, all of one length; asked for several times.
  public init(count: Int, holding held: Int, read: @escaping (Int) throws -> [Double]) {
    (self.count, self.held, self.read) = (count, max(1, held), read)
  }

  /// The inner products of all rows, `[count, count]`.
  ///
  /// Rows are held in groups, and those behind a group are read once for each: about `count² / 2 held`
  /// readings.
  public func products() throws -> [Double] {
    var products = [Double](repeating: 0, count: count * count)
    for first in stride(from: 0, to: count, by: held) {
      var group: [[Double]] = []
      for row in first..<count {
        let values = try read(row)
        if group.count < held { group.append(values) }
        for (place, other) in group.enumerated() {
          let product = LongVector.dot(values, other)
          products[row * count + first + place] = product
          products[(first + place) * count + row] = product
        }
      }
    }
    return products
  }

  /// Weighted sums of all rows.
  ///
  /// - Parameter weights: of each sum, one number a row.
  public func sums(_ weights: [[Double]]) throws -> [[Double]] {
    var sums = [[Double]](repeating: [], count: weights.count)
    for row in 0..<count {
      let values = try read(row)
      for place in sums.indices {
        if row == 0 { sums[place] = [Double](repeating: 0, count: values.count) }
        LongVector.add(weights[place][row], values, to: &sums[place])
      }
    }
    return sums
  }
}
