import Tensors

/// One layer of a subject, and what it has to do with the others.
struct AttentionLayer: Sendable {
  /// What is looked at.
  enum Content: Sendable {
    /// Features of patches.
    case tokens(MapGrid)
    /// Attention maps.
    case maps(AttentionGrid)
    /// Not what its layout promises.
    case undefined
  }

  let content: Content
  /// The depth of the block that the layer belongs to, from 0 to 1.
  let depth: Double
  /// Which of a block's maps it is, by the end of its name: softmax and refined maps are told apart.
  let series: String
  /// The maps of the same series in the layer before.
  let predecessor: Int?
  /// Whether those have the same shape.
  let isComparable: Bool
  /// The distance of neighbouring patches in pixels; nil where the size of images is not known.
  let step: (down: Double, across: Double)?

  /// Values that the layer has, in the order of the record; heads are counted from 0.
  let cells: [(statistic: AttentionStatistic, head: Int?)]

  /// The place of a statistic among the cells: its mean over heads, which those of heads follow.
  func place(of statistic: AttentionStatistic) -> Int? {
    cells.firstIndex { $0.statistic == statistic }
  }

  /// The layers of a subject.
  static func layers(of subject: SubjectPlan, settings: AttentionSettings) -> [AttentionLayer] {
    let grids = subject.taps.map(MapGrid.init)
    let tokens = subject.taps.indices.filter { subject.taps[$0].tap.isTokens }
    var last: [String: Int] = [:]
    return subject.taps.enumerated().map { index, planned in
      let depth = subject.depth(index)
      guard !planned.tap.isTokens else {
        return AttentionLayer(
          content: grids[index].map(Content.tokens) ?? .undefined, depth: depth, series: "",
          predecessor: nil, isComparable: false, step: nil, cells: [(.tokenSimilarity, nil)])
      }
      let series = Self.series(of: planned.tap.name)
      let predecessor = last[series]
      last[series] = index
      let grid = AttentionGrid(planned)
      let next = tokens.first { $0 > index && subject.taps[$0].tap.stage == planned.tap.stage }
      return AttentionLayer(
        content: grid.map(Content.maps) ?? .undefined, depth: depth, series: series,
        predecessor: predecessor,
        isComparable: predecessor.map { subject.taps[$0].shape == planned.shape } ?? false,
        step: grid.flatMap {
          Self.step(
            $0, planned.tap.connections, within: next.flatMap { grids[$0] }, subject.imageSize)
        },
        cells: cells(heads: grid?.heads ?? 0, settings: settings))
    }
  }

  /// Which of a block's maps a name says: `attn_map_raw`, `attn_map`.
  static func series(of name: String) -> String {
    String((name.split(separator: ".").last ?? "").filter { !$0.isNumber })
  }

  private static func cells(
    heads: Int, settings: AttentionSettings
  ) -> [(statistic: AttentionStatistic, head: Int?)] {
    AttentionStatistic.allCases.flatMap {
      statistic -> [(statistic: AttentionStatistic, head: Int?)] in
      if statistic == .tokenSimilarity { return [] }
      if statistic == .effectiveRank, settings.rankImages == 0 { return [] }
      let each = statistic.isPerHead ? (0..<heads).map { Optional($0) } : []
      return ([nil] + each).map { (statistic, $0) }
    }
  }

  /// Windows lie on the map that is stated, else on that of their block, which `map` is; where it is not there, on
  /// a square of them.
  private static func step(
    _ grid: AttentionGrid, _ connections: Connections?, within map: MapGrid?, _ imageSize: Int?
  ) -> (down: Double, across: Double)? {
    guard let imageSize, let connections, grid.places != nil else { return nil }
    var (height, width) = (connections.height, connections.width)
    if case .windows(let mapHeight, let mapWidth, _, _) = connections.support {
      (height, width) = (mapHeight, mapWidth)
    } else if let patches = grid.patches, grid.windows > 1 {
      let root = Int(Double(grid.windows).squareRoot().rounded())
      if let map, map.windows(patches) == grid.windows {
        (height, width) = (map.height, map.width)
      } else if root * root == grid.windows {
        (height, width) = (root * height, root * width)
      } else {
        return nil
      }
    } else if let patches = grid.patches, let map, map.windows(patches) == 1 {
      // One window may be larger than the map, which is padded then.
      (height, width) = (map.height, map.width)
    }
    return (Double(imageSize) / Double(height), Double(imageSize) / Double(width))
  }
}

extension MapGrid {
  /// How many windows it takes to cover the map.
  fileprivate func windows(_ window: AttentionGrid.Patches) -> Int {
    let down = (height + window.height - 1) / window.height
    let across = (width + window.width - 1) / window.width
    return down * across
  }
}

extension Tap {
  /// Whether the value holds features and not attention.
  var isTokens: Bool { !isAttention }
}
