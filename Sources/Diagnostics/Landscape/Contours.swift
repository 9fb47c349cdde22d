import Glibc

/// Lines of one height on a grid, by marching squares.
struct Contours {
  let x: [Double]
  let y: [Double]
  /// `values[row][column]`; nil: no line comes near.
  let values: [[Double?]]

  /// The pieces of the line of a height, each within a cell.
  func pieces(_ level: Double) -> [((x: Double, y: Double), (x: Double, y: Double))] {
    var pieces: [((x: Double, y: Double), (x: Double, y: Double))] = []
    for row in y.indices.dropLast() {
      for column in x.indices.dropLast() {
        // Around the cell from its lower left corner.
        let corners = [(0, 0), (0, 1), (1, 1), (1, 0)].map { up, right in
          (x: x[column + right], y: y[row + up], value: values[row + up][column + right])
        }
        let heights = corners.compactMap(\.value)
        guard heights.count == 4 else { continue }
        var crossings: [(x: Double, y: Double)] = []
        for edge in 0..<4 {
          let (a, b) = (corners[edge], corners[(edge + 1) % 4])
          let (from, to) = (heights[edge], heights[(edge + 1) % 4])
          guard (from < level) != (to < level) else { continue }
          let share = (level - from) / (to - from)
          crossings.append((a.x + share * (b.x - a.x), a.y + share * (b.y - a.y)))
        }
        if crossings.count == 2 {
          pieces.append((crossings[0], crossings[1]))
        } else if crossings.count == 4 {
          // A saddle: the mean tells which corners hang together.
          let isHigh = heights.reduce(0, +) / 4 >= level
          let turns = isHigh == (heights[0] >= level) ? [(0, 1), (2, 3)] : [(3, 0), (1, 2)]
          for (a, b) in turns { pieces.append((crossings[a], crossings[b])) }
        }
      }
    }
    return pieces
  }

  /// Heights for readers: so many, evenly spaced in the logarithm of what lies between two positive ones.
  static func levels(_ range: ClosedRange<Double>, count: Int) -> [Double] {
    guard range.lowerBound > 0, range.upperBound > range.lowerBound else { return [] }
    let ratio = range.upperBound / range.lowerBound
    return (1...count).map {
      range.lowerBound * exp(log(ratio) * Double($0) / Double(count + 1))
    }
  }
}
