import Reports
import StrictJSON

/// One figure a statistic: the mean over heads as a line, the heads as points around it.
public struct AttentionFigures {
  /// Heads of a layer beyond which they are not drawn one by one.
  private static let mostHeads = 64

  let source: FigureSource

  /// Figures of the table `attention`, if it is there.
  public init(_ source: FigureSource) { self.source = source }

  /// Those that show anything.
  public var all: [Figure] {
    get throws(ResultsError) {
      guard let table = source.table("attention") else { return [] }
      let rows = try AttentionRows(table)
      let models = try DepthLine.all(table, of: source).map { AttentionLine($0, rows) }
      return AttentionStatistic.allCases.filter { $0 != .uniformEntropy && !$0.isOffset }
        .compactMap { figure($0, models, rows) }
    }
  }

  private func figure(
    _ statistic: AttentionStatistic, _ models: [AttentionLine], _ rows: AttentionRows
  ) -> Figure? {
    let drawn = models.map { (model: $0, marks: marks(statistic, $0, rows)) }
      .filter { !$0.marks.isEmpty }
    guard !drawn.isEmpty else { return nil }
    // Clouds of heads would hide each other.
    let groups = statistic.isPerHead ? drawn.map { [$0] } : [drawn]
    let panels = groups.map { group in
      Figure.Panel(
        title: group.count == 1 && groups.count > 1 ? group[0].model.label : "", x: .depth,
        y: Axis(statistic.title, unit: statistic.unit, includesZero: true),
        DepthLine.stageMarks(of: group.map(\.model.line), source) + group.flatMap(\.marks))
    }
    return Figure(
      name: "attention_\(statistic.rawValue)", title: statistic.headline,
      subtitle: subtitle(statistic, drawn.map(\.model), rows), summary: statistic.explanation,
      panels: panels)
  }

  private func subtitle(
    _ statistic: AttentionStatistic, _ drawn: [AttentionLine], _ rows: AttentionRows
  ) -> String {
    let known = drawn.flatMap { $0.rows(of: statistic, rows) }.filter { rows.values[$0] != nil }
    let counted = statistic == .effectiveRank ? known : Array(rows.images.indices)
    var text = Self.imageCount(counted, rows)
    switch statistic {
    case .tokenSimilarity: text += "; patches only"
    case .headSimilarity: text += "; mean over pairs of heads"
    case .similarHeads:
      text += source.settings["threshold"]?.doubleValue.map { "; cosine above \($0)" } ?? ""
    case .layerSimilarity, .effectiveRank: text += "; whole maps; points: heads"
    default:
      text += "; among patches; points: heads"
    }
    let hasBars = known.contains { rows.errors[$0] != nil }
    return text + (hasBars ? "; bars: 95 % intervals over images" : "")
  }

  static func imageCount(_ counted: [Int], _ rows: AttentionRows) -> String {
    let n = counted.compactMap { rows.images[$0] }.max() ?? 0
    return "n = \(Int(exactly: n).map { "\($0)" } ?? "\(n)") image\(n == 1 ? "" : "s")"
  }

  /// The lines and points of one model; empty if it has nothing to show.
  private func marks(
    _ statistic: AttentionStatistic, _ model: AttentionLine, _ rows: AttentionRows
  ) -> [Mark] {
    let series: [String?] = statistic == .tokenSimilarity ? [nil] : model.series
    var marks: [Mark] = []
    for (place, name) in series.enumerated() {
      let isMain = place == series.count - 1
      let style = source.style(model.label).ofSeries(place, of: series.count)
      let points = points(statistic, model, name, rows)
      guard points.contains(where: { $0.y != nil }) else { continue }
      if statistic.isPerHead { marks += heads(statistic, model, series: name, style, rows) }
      marks.append(
        .series(Series(model.title(of: name), points, style: style, interval: .bars)))
      if statistic == .entropy, isMain {
        // The entropy of even attention.
        let even = self.points(.uniformEntropy, model, name, rows, tail: ", even attention")
        let gray = Style(color: Color(0x7F7F7F), dash: .dotted, width: 1.5)
        marks.append(.series(Series("Even attention", even, style: gray)))
      }
    }
    return marks
  }

  private func heads(
    _ statistic: AttentionStatistic, _ model: AttentionLine, series: String?, _ style: Style,
    _ rows: AttentionRows
  ) -> [Mark] {
    // Channels with a kernel each would be a cloud without a shape.
    guard model.heads.count <= Self.mostHeads else { return [] }
    var style = style
    (style.width, style.markerSize, style.opacity) = (0, 4, 0.45)
    return model.heads.compactMap { head in
      let name = "head \(head)"
      let points = points(statistic, model, series, rows, head: head, tail: ", \(name)")
      guard points.contains(where: { $0.y != nil }) else { return nil }
      return .series(Series("\(model.label), \(name)", points, style: style, inLegend: false))
    }
  }

  /// A statistic over depth, of whole layers or of one head.
  private func points(
    _ statistic: AttentionStatistic, _ model: AttentionLine, _ series: String?,
    _ rows: AttentionRows, head: Int? = nil, tail: String = ""
  ) -> [Point] {
    zip(model.line.layers, model.seriesOfLayers).compactMap { layer, own in
      guard own == series,
        let row = layer.rows.first(where: {
          rows.statistics[$0] == statistic.rawValue && rows.heads[$0] == head
        })
      else { return nil }
      return Point(
        layer.depth, rows.values[row], error: head == nil ? rows.errors[row] : nil,
        label: layer.name + tail, key: source.key(model.label, layer.name))
    }
  }
}

extension Style {
  /// Of one model all maps have its colour and marker; those before the last are outlines.
  fileprivate func ofSeries(_ place: Int, of count: Int) -> Style {
    guard place < count - 1 else { return self }
    let others = Dash.allCases.filter { $0 != dash }
    var style = self
    style.dash = others[place % others.count]
    style.isHollow = true
    return style
  }
}

/// The columns of `attention`.
struct AttentionRows {
  let statistics: [String]
  let heads: [Int?]
  let images: [Double?]
  let values: [Double?]
  let errors: [Double?]

  init(_ table: any TableRows) throws(ResultsError) {
    statistics = try table.texts("statistic")
    heads = try table.numbers(table.headColumn).map { $0.flatMap { Int(exactly: $0) } }
    images = try table.numbers("n_images")
    (values, errors) = (try table.numbers("value"), try table.numbers("se"))
  }
}

/// The layers of a model and what maps they hold.
struct AttentionLine {
  let line: DepthLine
  /// Of each layer, which of a block's maps it is, by the end of its name: softmax and refined maps are told
  /// apart; nil for features.
  let seriesOfLayers: [String?]
  /// The kinds of maps, in the order of the pass; what the last block attends by comes last.
  private(set) var series: [String] = []
  /// The heads of all layers.
  let heads: [Int]

  var label: String { line.model }

  init(_ line: DepthLine, _ rows: AttentionRows) {
    self.line = line
    let tokens = AttentionStatistic.tokenSimilarity.rawValue
    seriesOfLayers = line.layers.map { layer in
      rows.statistics[layer.rows[0]] == tokens ? nil : AttentionLayer.series(of: layer.name)
    }
    heads = Set(line.layers.flatMap(\.rows).compactMap { rows.heads[$0] }).sorted()
    for name in seriesOfLayers.compactMap(\.self) {
      series.removeAll { $0 == name }
      series.append(name)
    }
  }

  /// What a line is called: the model, and which of its maps if there are several.
  func title(of series: String?) -> String {
    series.flatMap { self.series.count > 1 ? "\(label), \($0)" : nil } ?? label
  }

  /// The rows of a statistic, those of heads among them.
  func rows(of statistic: AttentionStatistic, _ rows: AttentionRows) -> [Int] {
    line.layers.flatMap(\.rows).filter { rows.statistics[$0] == statistic.rawValue }
  }
}
