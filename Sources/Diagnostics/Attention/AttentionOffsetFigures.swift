import Glibc
import Reports

/// Where heads look, a figure a model: of each head its centre and an ellipse of one standard deviation around the
/// query (Cordonnier et al., ICLR 2020).
public struct AttentionOffsetFigures {
  /// Layers of one figure; of more, some are chosen evenly.
  private static let mostPanels = 24
  /// Heads of a layer that are drawn as ellipses; of more, their centres and one ellipse over all.
  private static let mostEllipses = 24

  /// Centre and covariance, y upwards.
  private typealias Shape = (x: Double, y: Double, xx: Double, xy: Double, yy: Double)
  /// One head of a layer.
  private typealias Head = (number: Int, shape: Shape)

  private let source: FigureSource

  /// Figures of the table `attention_offsets`, if it is there.
  public init(_ source: FigureSource) { self.source = source }

  /// Those that show anything.
  public var all: [Figure] {
    get throws(ResultsError) {
      guard let table = source.table("attention_offsets") else { return [] }
      let heads = try table.numbers(table.headColumn).map { $0.flatMap { Int(exactly: $0) } }
      var columns: [[Double?]] = []
      for statistic in AttentionOffsets.statistics {
        columns.append(try table.numbers(statistic.rawValue))
      }
      let images = try table.imageCount()
      return try DepthLine.all(table, of: source).compactMap { line in
        let layers = line.layers.compactMap { layer -> (name: String, heads: [Head])? in
          let known = layer.rows.compactMap { row -> Head? in
            let values = columns.compactMap { $0[row] }
            guard let head = heads[row], values.count == columns.count else { return nil }
            return (head, (values[0], -values[1], values[2], -values[3], values[4]))
          }
          return known.isEmpty ? nil : (layer.name, known)
        }
        return figure(line.model, layers, images)
      }
    }
  }

  private func figure(
    _ model: String, _ drawn: [(name: String, heads: [Head])], _ images: String
  ) -> Figure? {
    guard !drawn.isEmpty else { return nil }
    let count = min(drawn.count, Self.mostPanels)
    let chosen = (0..<count).map {
      drawn[count == 1 ? 0 : $0 * (drawn.count - 1) / (count - 1)]
    }
    let reach =
      chosen.flatMap(\.heads).map(\.shape).map { head in
        max(abs(head.x) + head.xx.squareRoot(), abs(head.y) + head.yy.squareRoot())
      }.max() ?? 0
    // A head that looks at its own place alone has no extent.
    let half = reach > 0 ? reach * 1.08 : 1
    guard half.isFinite else { return nil }
    let panels = chosen.map { name, heads in
      Figure.Panel(
        title: name, x: Axis("To the right", unit: "px", range: -half...half),
        y: Axis("Up", unit: "px", range: -half...half), marks(heads))
    }
    let many = chosen.contains { $0.heads.count > Self.mostEllipses }
    return Figure(
      name: "attention_offsets_\(source.slug(of: model))", title: "Where heads look: \(model)",
      subtitle: images + "; ellipses: one standard deviation"
        + (count < drawn.count ? "; \(count) of \(drawn.count) layers" : "")
        + (many ? "; of many heads, centres and an ellipse over all" : ""),
      summary:
        "For each layer and head, the mean way from a query, at the cross, to the places that it "
        + "reads, and an ellipse of one standard deviation around it.",
      panels: panels, columns: count < 4 ? count : 4, legend: .none, panelSize: (150, 150))
  }

  private func marks(_ heads: [Head]) -> [Mark] {
    let query = Style(color: .frame, marker: .plus, width: 0, markerSize: 8)
    var marks: [Mark] = [.series(Series("Query", [Point(0, 0, label: "query")], style: query))]
    let shapes = heads.map { ($0.number, $0.shape) }
    guard shapes.count > Self.mostEllipses else {
      for (number, shape) in shapes {
        let color = Style.category(number).color
        marks.append(
          .series(
            Series(
              "Head \(number)", ellipse(shape),
              style: Style(color: color, width: 1.4))))
        marks.append(
          .series(
            Series(
              "Centre of head \(number)",
              [Point(shape.x, shape.y, label: "centre of head \(number)")],
              style: Style(color: color, marker: .circle, width: 0, markerSize: 4.5))))
      }
      return marks
    }
    let n = Double(shapes.count)
    func mean(_ value: (Shape) -> Double) -> Double { shapes.reduce(0) { $0 + value($1.1) } / n }
    let (x, y) = (mean(\.x), mean(\.y))
    let whole = (
      x, y, mean { $0.xx + ($0.x - x) * ($0.x - x) }, mean { $0.xy + ($0.x - x) * ($0.y - y) },
      mean { $0.yy + ($0.y - y) * ($0.y - y) }
    )
    marks.append(
      .series(
        Series(
          "Centres", shapes.map { Point($0.1.x, $0.1.y, label: "centre of head \($0.0)") },
          style: Style(
            color: Style.category(0).color, marker: .circle, width: 0, markerSize: 3,
            opacity: 0.45))))
    marks.append(
      .series(
        Series(
          "All heads", ellipse(whole),
          style: Style(color: Style.category(1).color, width: 1.4))))
    return marks
  }

  /// The points at one standard deviation around a centre.
  private func ellipse(_ shape: Shape) -> [Point] {
    let (mean, half) = ((shape.xx + shape.yy) / 2, (shape.xx - shape.yy) / 2)
    let root = (half * half + shape.xy * shape.xy).squareRoot()
    let (long, short) = (max(0, mean + root).squareRoot(), max(0, mean - root).squareRoot())
    let angle = atan2(shape.xy, half) / 2
    let steps = 24
    return (0...steps).map { step in
      let turn = 2 * Double.pi * Double(step % steps) / Double(steps)
      let (along, across) = (long * cos(turn), short * sin(turn))
      return Point(
        shape.x + along * cos(angle) - across * sin(angle),
        shape.y + along * sin(angle) + across * cos(angle), label: "")
    }
  }
}
