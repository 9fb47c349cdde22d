import Tensors

/// A layer that mixes places: what it declares, and which pairs of its places are alike.
struct RelationsLayer: Sendable {
  /// Where weights lie.
  let grid: AttentionGrid
  /// What the tap says of them.
  let connections: Connections
  /// The part of a map among patches: its first row and column, and its extents.
  let part: (first: Int, rows: Int, columns: Int)
  /// The class of each pair of a query and a key, by the way from one to the other; of taps, one row for all queries.
  let classes: [Int32]
  /// Values from one row of classes to the next.
  let classStep: Int
  /// Of each class, the pairs that have it in one map.
  let counts: [Int]
  /// Of each class, how far away the key is along the axis where it is further, in places.
  let reach: [Double]

  /// Nil if the value is not what its layout states.
  init?(_ planned: PlannedTap) {
    guard let connections = planned.tap.connections, let grid = AttentionGrid(planned),
      let places = grid.places
    else { return nil }
    (self.grid, self.connections) = (grid, connections)
    switch places {
    case .patches(let patches):
      part = (patches.prefix * grid.keys + patches.prefix, patches.count, patches.count)
      let ways = Ways(
        height: patches.height, width: patches.width, rows: patches.height, columns: patches.width)
      (classes, counts, reach) = (ways.classes, ways.counts, ways.reach)
      classStep = patches.count
    case .cells(let cells):
      part = (0, grid.queries, grid.keys)
      let ways = Ways(
        height: cells.height, width: cells.width, rows: cells.rows, columns: cells.columns)
      (classes, counts, reach) = (ways.classes, ways.counts, ways.reach)
      classStep = grid.keys
    case .taps(let taps):
      part = (0, grid.queries, grid.keys)
      classes = (0..<Int32(grid.keys)).map { $0 }
      classStep = 0
      counts = Array(repeating: grid.queries, count: grid.keys)
      reach = taps.offsets.map { Double(max(abs($0.down), abs($0.across))) }
    case .pooling(let patches):
      // There are no ways to tell apart.
      part = (patches.prefix, grid.queries, patches.count)
      classes = Array(repeating: 0, count: patches.count)
      (classStep, counts, reach) = (0, [grid.queries * patches.count], [0])
    }
  }

  /// The ways from the places of a grid to cells that cut it evenly; patches are cells of one place.
  private struct Ways {
    var classes: [Int32] = []
    var counts: [Int]
    var reach: [Double]

    init(height: Int, width: Int, rows: Int, columns: Int) {
      let across = 2 * width - 1
      counts = Array(repeating: 0, count: (2 * height - 1) * across)
      let (deep, wide) = (
        Double(height) / Double(rows) - 1, Double(width) / Double(columns) - 1
      )
      reach = counts.indices.map { way in
        // From the place to the middle of the cell.
        let y = Double(way / across - (height - 1)) + deep / 2
        let x = Double(way % across - (width - 1)) + wide / 2
        return max(abs(y), abs(x))
      }
      classes.reserveCapacity(height * width * rows * columns)
      for query in 0..<height * width {
        for key in 0..<rows * columns {
          let y = key / columns * height / rows - query / width
          let x = key % columns * width / columns - query % width
          let way = (y + height - 1) * across + x + width - 1
          classes.append(Int32(way))
          counts[way] += 1
        }
      }
    }
  }

  /// Whether heads stand for sums over the channels that are read.
  var isDense: Bool { connections.declared?.isDense ?? false }

  /// The most independent rows that the matrix of all places can have.
  var rankBound: Int {
    switch connections.support {
    case .tokens: grid.windows * min(grid.queries, grid.keys)
    case .windows(let height, let width, _, _):
      overlaps ? height * width : grid.windows * min(grid.queries, grid.keys)
    case .cells, .pooling: min(grid.queries, grid.keys)
    case .taps:
      if case .taps(let taps) = grid.places {
        min(taps.count, taps.rows * taps.columns)
      } else {
        0
      }
    }
  }
}
