import Reports

/// One figure a statistic: the mean over heads as a line, the heads as points around it.
struct AttentionFigures {
  /// Heads of a layer beyond which they are not drawn one by one.
  private static let mostHeads = 64

  private let subjects: [AttentionResults]
  private let settings: AttentionSettings
  private let images: Int
  private let styles: [Style]

  init(_ subjects: [AttentionResults], settings: AttentionSettings, images: Int) {
    self.subjects = subjects
    self.settings = settings
    self.images = images
    styles = Style.models(families: subjects.map(\.subject.family))
  }

  /// Those that show anything.
  var all: [Figure] {
    AttentionStatistic.allCases.filter { $0 != .uniformEntropy && !$0.isOffset }.compactMap(figure)
  }

  private func figure(_ statistic: AttentionStatistic) -> Figure? {
    let drawn = subjects.indices.filter { !marks(statistic, $0).isEmpty }
    guard !drawn.isEmpty else { return nil }
    // Clouds of heads would hide each other.
    let groups = statistic.isPerHead ? drawn.map { [$0] } : [drawn]
    let panels = groups.map { group in
      let isAlone = group.count == 1
      return Figure.Panel(
        title: isAlone && groups.count > 1 ? subjects[group[0]].subject.label : "", x: .depth,
        y: Axis(statistic.title, unit: statistic.unit, includesZero: true),
        stages(group)
          + group.flatMap { marks(statistic, $0) })
    }
    return Figure(
      name: "attention_\(statistic.rawValue)", title: statistic.headline,
      subtitle: subtitle(statistic, drawn), summary: statistic.explanation, panels: panels)
  }

  private func subtitle(_ statistic: AttentionStatistic, _ drawn: [Int]) -> String {
    let counts = drawn.flatMap { index in
      subjects[index].layers.flatMap(\.estimates).filter {
        $0.statistic == statistic && $0.value != nil
      }
    }
    let n = statistic == .effectiveRank ? counts.map(\.images).max() ?? 0 : images
    var text = "n = \(n) image\(n == 1 ? "" : "s")"
    switch statistic {
    case .tokenSimilarity: text += "; patches only"
    case .headSimilarity: text += "; mean over pairs of heads"
    case .similarHeads: text += "; cosine above \(settings.threshold)"
    case .layerSimilarity, .effectiveRank: text += "; whole maps; points: heads"
    default:
      text += "; among patches; points: heads"
    }
    return text + (counts.contains { $0.error != nil } ? "; bars: 95 % intervals over images" : "")
  }

  private func stages(_ group: [Int]) -> [Mark] {
    let plan = Plan(subjects: subjects.map(\.subject), batchSizes: [], batchSize: 1)
    return plan.stageMarks(of: group, styles: styles)
  }

  /// The lines and points of one subject; empty if it has nothing to show.
  private func marks(_ statistic: AttentionStatistic, _ index: Int) -> [Mark] {
    let results = subjects[index]
    let series = statistic == .tokenSimilarity ? [""] : results.series
    var marks: [Mark] = []
    for (place, name) in series.enumerated() {
      let isMain = place == series.count - 1
      var style = styles[index]
      // Of one model all maps have its colour and marker; those before the last are outlines.
      if !isMain {
        let others = Dash.allCases.filter { $0 != styles[index].dash }
        style.dash = others[place % others.count]
        style.isHollow = true
      }
      let values = results.values(of: statistic, series: name)
      guard values.contains(where: { $0.estimate.value != nil }) else { continue }
      if statistic.isPerHead {
        marks += heads(statistic, results, series: name, style: style)
      }
      let points = values.map { value in
        Point(
          value.depth, value.estimate.value, low: value.estimate.interval?.low,
          high: value.estimate.interval?.high, label: value.name)
      }
      marks.append(
        .series(
          Series(
            title(name, of: results), points, style: style, interval: .bars)))
      if statistic == .entropy, isMain { marks += even(results, series: name) }
    }
    return marks
  }

  /// What a line is called: the model, and which of its maps if there are several.
  private func title(_ series: String, of results: AttentionResults) -> String {
    let label = results.subject.label
    return results.series.count > 1 && !series.isEmpty ? "\(label), \(series)" : label
  }

  private func heads(
    _ statistic: AttentionStatistic, _ results: AttentionResults, series: String, style: Style
  ) -> [Mark] {
    // Channels with a kernel each would be a cloud without a shape.
    guard results.heads <= Self.mostHeads else { return [] }
    return (0..<results.heads).compactMap { head in
      let points = results.values(of: statistic, series: series, head: head).map {
        Point($0.depth, $0.estimate.value, label: "\($0.name), head \(head)")
      }
      guard points.contains(where: { $0.y != nil }) else { return nil }
      var style = style
      (style.width, style.markerSize, style.opacity) = (0, 4, 0.45)
      return .series(
        Series("\(results.subject.label), head \(head)", points, style: style, inLegend: false))
    }
  }

  /// The entropy of even attention.
  private func even(_ results: AttentionResults, series: String) -> [Mark] {
    let points = results.values(of: .uniformEntropy, series: series).map {
      Point($0.depth, $0.estimate.value, label: "\($0.name), even attention")
    }
    let style = Style(color: Color(0x7F7F7F), dash: .dotted, width: 1.5)
    return [.series(Series("Even attention", points, style: style))]
  }
}
