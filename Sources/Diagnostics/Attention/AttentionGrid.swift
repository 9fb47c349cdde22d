import Tensors

/// Where the connection weights of one image lie in a tap's value, and where queries and keys lie in the image.
struct AttentionGrid: Sendable, Hashable {
  /// 1 for attention over the whole image.
  let windows: Int
  let heads: Int
  let queries: Int
  let keys: Int
  /// Where queries and keys are; nil if the weights are not those of what is stated.
  let places: Places?

  /// Where queries and keys are.
  enum Places: Sendable, Hashable {
    /// Each patch of a grid reads each, behind tokens that are none.
    case patches(Patches)
    /// Each place of a grid reads cells that cut it evenly.
    case cells(Cells)
    /// Each place of a result reads the taps of its window.
    case taps(LocalTaps)
    /// Queries without a place read each patch of a grid.
    case pooling(Patches)
  }

  /// The grid of patches behind tokens that are none.
  struct Patches: Sendable, Hashable {
    let height: Int
    let width: Int
    let prefix: Int

    var count: Int { height * width }
  }

  /// A grid of places and the cells that its keys are made of.
  struct Cells: Sendable, Hashable {
    let height: Int
    let width: Int
    let rows: Int
    let columns: Int
  }

  /// Nil if the value is no connection weights.
  init?(_ planned: PlannedTap) {
    guard let connections = planned.tap.connections else { return nil }
    let shape = planned.shape
    guard shape.count == 3 || shape.count == 4, shape.allSatisfy({ $0 > 0 }) else { return nil }
    windows = shape.count == 4 ? shape[0] : 1
    heads = shape[shape.count - 3]
    queries = shape[shape.count - 2]
    keys = shape[shape.count - 1]
    places = Self.places(connections, windows: windows, queries: queries, keys: keys)
  }

  private static func places(
    _ connections: Connections, windows: Int, queries: Int, keys: Int
  ) -> Places? {
    let (height, width, prefix) = (connections.height, connections.width, connections.prefix)
    let (count, overflow) = height.multipliedReportingOverflow(by: width)
    guard height > 0, width > 0, prefix >= 0, !overflow else { return nil }
    switch connections.support {
    case .tokens, .windows:
      guard queries == keys, queries >= prefix, queries - prefix == count else { return nil }
      return .patches(Patches(height: height, width: width, prefix: prefix))
    case .cells(let rows, let columns):
      guard windows == 1, prefix == 0, queries == count, rows > 0, columns > 0,
        keys == rows.multipliedReportingOverflow(by: columns).partialValue
      else { return nil }
      return .cells(Cells(height: height, width: width, rows: rows, columns: columns))
    case .taps(let window):
      guard windows == 1, prefix == 0,
        let taps = LocalTaps(window, height: height, width: width, queries: queries, keys: keys)
      else { return nil }
      return .taps(taps)
    case .pooling:
      guard windows == 1, keys >= prefix, keys - prefix == count else { return nil }
      return .pooling(Patches(height: height, width: width, prefix: prefix))
    }
  }

  /// The patches, where each reads each.
  var patches: Patches? { if case .patches(let patches) = places { patches } else { nil } }

  /// Places that a query chooses among: patches, cells or taps.
  var choices: Int {
    switch places {
    case .patches(let patches), .pooling(let patches): patches.count
    case .cells, .taps, nil: keys
    }
  }

  /// Whether queries lie on the grid, so that there is a way from each to what it reads.
  var hasQueryPlaces: Bool {
    switch places {
    case .patches, .cells, .taps: true
    case .pooling, nil: false
    }
  }

  /// Whether there is but one query, which has no place: a map says nothing of how queries differ.
  var isOneRow: Bool { if case .pooling = places { queries == 1 } else { false } }

  /// Floats of one map.
  var mapCount: Int { queries * keys }

  /// Floats of all maps of an image.
  var stride: Int { windows * heads * mapCount }
}

/// Positions of queries and keys on the grid that is read, `[count]` each, in places.
struct PlacePositions: Sendable {
  let queryRows, queryColumns: [Double]
  let keyRows, keyColumns: [Double]

  /// Those of patches, or of places and the middles of cells.
  init(_ patches: AttentionGrid.Patches) {
    queryRows = (0..<patches.count).map { Double($0 / patches.width) }
    queryColumns = (0..<patches.count).map { Double($0 % patches.width) }
    (keyRows, keyColumns) = (queryRows, queryColumns)
  }

  /// Those of patches that queries without a place read: these stand in the middle of the grid.
  init(pooling patches: AttentionGrid.Patches, queries: Int) {
    queryRows = Array(repeating: Double(patches.height - 1) / 2, count: queries)
    queryColumns = Array(repeating: Double(patches.width - 1) / 2, count: queries)
    let all = PlacePositions(patches)
    (keyRows, keyColumns) = (all.keyRows, all.keyColumns)
  }

  init(_ cells: AttentionGrid.Cells) {
    queryRows = (0..<cells.height * cells.width).map { Double($0 / cells.width) }
    queryColumns = (0..<cells.height * cells.width).map { Double($0 % cells.width) }
    let down = Double(cells.height) / Double(cells.rows)
    let across = Double(cells.width) / Double(cells.columns)
    let count = cells.rows * cells.columns
    keyRows = (0..<count).map { (Double($0 / cells.columns) + 0.5) * down - 0.5 }
    keyColumns = (0..<count).map { (Double($0 % cells.columns) + 0.5) * across - 0.5 }
  }

  /// The distances `[queries, keys]`, given those of neighbours.
  func distances(down: Double, across: Double) -> [Float] {
    queryRows.indices.flatMap { query in
      keyRows.indices.map { key in
        let y = (queryRows[query] - keyRows[key]) * down
        let x = (queryColumns[query] - keyColumns[key]) * across
        return Float((x * x + y * y).squareRoot())
      }
    }
  }
}
