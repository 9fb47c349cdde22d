import Reports

/// Layers on the map of operations, and their measures over depth.
public struct RelationsFigures {
  private let source: FigureSource

  /// Figures of the table `relations`, if it is there.
  public init(_ source: FigureSource) { self.source = source }

  /// Those that show anything.
  public var all: [Figure] {
    get throws(ResultsError) {
      guard let table = source.table("relations") else { return [] }
      let columns = try Columns(table)
      let lines = try DepthLine.all(table, of: source)
      let counted = try table.imageCount()
      return [map(lines, columns, counted), depth(lines, columns, counted)].compactMap(\.self)
    }
  }

  /// What is drawn of the table.
  private struct Columns {
    /// By measure; ranks over their bounds.
    private var values: [[Double?]] = []
    private var errors: [[Double?]] = []

    init(_ table: any TableRows) throws(ResultsError) {
      let bounds = try table.numbers("rank_bound")
      for measure in RelationMeasure.allCases {
        func shares(_ column: String) throws(ResultsError) -> [Double?] {
          let numbers = try table.numbers(column)
          guard measure == .rank else { return numbers }
          return zip(numbers, bounds).map { number, bound in
            number.map { $0 / max(1, bound ?? 1) }
          }
        }
        values.append(try shares(measure.column))
        errors.append(try shares(measure.column + "_se"))
      }
    }

    func value(_ measure: RelationMeasure, _ row: Int) -> Double? { values[measure.rawValue][row] }
    func error(_ measure: RelationMeasure, _ row: Int) -> Double? { errors[measure.rawValue][row] }
  }

  // MARK: The map

  /// Sparse connections against dynamic weights, and the two kinds of sharing against each other: the axes along
  /// which Han et al. tell operations apart, with the corners named by what lies there.
  private func map(_ lines: [DepthLine], _ columns: Columns, _ counted: String) -> Figure? {
    let panels = [
      panel(
        .outside7, .images, lines, columns,
        corners: ["convolution", "dynamic convolution", "MLP over places", "attention"]),
      panel(
        .places, .heads, lines, columns,
        corners: ["pooling", "depth-wise, SE", "involution", "attention"]),
    ].compactMap(\.self)
    guard !panels.isEmpty else { return nil }
    return Figure(
      name: "relations_map", title: "Layers on the map of operations",
      subtitle: "\(counted); a point a layer",
      summary:
        "How far layers reach against how much their weights depend on the image, and how much weights "
        + "vary over places against how much over channels; each corner is named by operations that lie there.",
      panels: panels, columns: 2, sharesX: false, sharesY: false, panelSize: (260, 260))
  }

  private func panel(
    _ x: RelationMeasure, _ y: RelationMeasure, _ lines: [DepthLine], _ columns: Columns,
    corners: [String]
  ) -> Figure.Panel? {
    var marks: [Mark] = zip(corners, [(0.0, 0.0), (0, 1), (1, 0), (1, 1)]).map { name, place in
      // Words stand to the right of their place, above and below all points.
      .note(x: place.0 == 0 ? 0 : 0.56, y: place.1 == 0 ? -0.06 : 1.07, text: name)
    }
    var isEmpty = true
    // A variance of few images may be above the mean square.
    var top = 1.0
    for line in lines {
      let points = line.layers.compactMap { layer -> Point? in
        guard let across = columns.value(x, layer.rows[0]), let up = columns.value(y, layer.rows[0])
        else { return nil }
        return Point(across, up, label: layer.name, key: source.key(line.model, layer.name))
      }
      guard !points.isEmpty else { continue }
      isEmpty = false
      top = points.reduce(top) { max($0, $1.y ?? 0) }
      var style = source.style(line.model)
      (style.width, style.opacity) = (0, 0.75)
      marks.append(.series(Series(line.model, points, style: style)))
    }
    return isEmpty
      ? nil
      : Figure.Panel(
        x: Axis(x.title, range: -0.04...1.08), y: Axis(y.title, range: -0.12...top + 0.12), marks)
  }

  // MARK: Over depth

  private func depth(_ lines: [DepthLine], _ columns: Columns, _ counted: String) -> Figure? {
    let panels = RelationMeasure.allCases.compactMap { measure -> Figure.Panel? in
      guard measure != .outside5 else { return nil }
      let marks = lines.compactMap { series(measure, $0, columns) }
      guard !marks.isEmpty else { return nil }
      let title = measure == .rank ? "Rank over its bound" : measure.title
      return Figure.Panel(
        x: .depth, y: Axis(title, includesZero: true),
        DepthLine.stageMarks(of: lines, source) + marks)
    }
    guard !panels.isEmpty else { return nil }
    return Figure(
      name: "relations_depth", title: "How local, how dynamic, how shared: over depth",
      subtitle: "\(counted); bars: 95 % intervals over images",
      summary:
        "Share of weight outside small windows, shares of variation over images, places and channels, and "
        + "the effective rank over its bound, of each layer that mixes places.",
      panels: panels, columns: 2, sharesY: false)
  }

  private func series(_ measure: RelationMeasure, _ line: DepthLine, _ columns: Columns) -> Mark? {
    let points = line.layers.map { layer in
      Point(
        layer.depth, columns.value(measure, layer.rows[0]),
        error: columns.error(measure, layer.rows[0]), label: layer.name,
        key: source.key(line.model, layer.name))
    }
    guard points.contains(where: { $0.y != nil }) else { return nil }
    return .series(
      Series(line.model, points, style: source.style(line.model), interval: .bars))
  }
}
