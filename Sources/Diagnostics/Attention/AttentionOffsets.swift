import Glibc
import Reports
import Tensors

/// Where heads look: of each, the mean way from a query to what it reads and the covariance around it, as a table,
/// and as ellipses of one standard deviation around the query (Cordonnier et al., ICLR 2020).
struct AttentionOffsets {
  private static let statistics: [AttentionStatistic] = [
    .offsetX, .offsetY, .covarianceXX, .covarianceXY, .covarianceYY,
  ]
  /// Layers of one figure; of more, some are chosen evenly.
  private static let mostPanels = 24
  /// Heads of a layer that are drawn as ellipses; of more, their centres and one ellipse over all.
  private static let mostEllipses = 24

  private let plan: Plan
  private let subjects: [AttentionResults]
  private let images: Int

  init(_ subjects: [AttentionResults], plan: Plan, images: Int) {
    (self.subjects, self.plan, self.images) = (subjects, plan, images)
  }

  // MARK: The table

  /// A row a head; nil if no subject has weights to look at.
  var table: Table? {
    var table = Table(
      "attention_offsets",
      columns: LayerPosition.keyColumns + [.integer("head_index"), .integer("n_images")]
        + Self.statistics.flatMap {
          [Column.real($0.rawValue), .real("\($0.rawValue)_se")]
        } + [.text("status")])
    for results in subjects {
      for (index, layer) in results.layers.enumerated() {
        for head in heads(of: layer) {
          table.append(
            results.subject.keys(index, on: plan.data)
              + [.integer(head.number), .integer(head.images)]
              + head.estimates.flatMap { [Cell($0.value), Cell($0.error)] }
              + [.text(head.status)])
        }
      }
    }
    return table.rows.isEmpty ? nil : table
  }

  /// One head of a layer.
  private struct Head {
    let number: Int
    let estimates: [AttentionEstimate]

    var images: Int { estimates.first?.images ?? 0 }
    var status: String { estimates.first?.status.rawValue ?? "" }

    /// Centre and covariance, y upwards; nil where they are not known.
    var shape: (x: Double, y: Double, xx: Double, xy: Double, yy: Double)? {
      let values = estimates.compactMap(\.value)
      guard values.count == 5 else { return nil }
      return (values[0], -values[1], values[2], -values[3], values[4])
    }
  }

  private func heads(of layer: AttentionResults.Layer) -> [Head] {
    var found: [Int: [AttentionEstimate]] = [:]
    var order: [Int] = []
    for estimate in layer.offsets {
      guard let head = estimate.head else { continue }
      if found[head] == nil { order.append(head) }
      found[head, default: []].append(estimate)
    }
    return order.map { Head(number: $0, estimates: found[$0] ?? []) }
  }

  // MARK: Figures

  /// One a subject that has weights with places.
  var figures: [Figure] {
    zip(subjects, plan.slugs).compactMap { results, slug in
      figure(results, named: "attention_offsets_\(slug)")
    }
  }

  private func figure(_ results: AttentionResults, named name: String) -> Figure? {
    let drawn = results.layers.indices.compactMap { index -> (Int, [Head])? in
      let heads = heads(of: results.layers[index]).filter { $0.shape != nil }
      return heads.isEmpty ? nil : (index, heads)
    }
    guard !drawn.isEmpty else { return nil }
    let count = min(drawn.count, Self.mostPanels)
    let chosen = (0..<count).map {
      drawn[count == 1 ? 0 : $0 * (drawn.count - 1) / (count - 1)]
    }
    let reach =
      chosen.flatMap { $0.1.compactMap(\.shape) }.map { head in
        max(abs(head.x) + head.xx.squareRoot(), abs(head.y) + head.yy.squareRoot())
      }.max() ?? 0
    // A head that looks at its own place alone has no extent.
    let half = reach > 0 ? reach * 1.08 : 1
    guard half.isFinite else { return nil }
    let panels = chosen.map { index, heads in
      Figure.Panel(
        title: results.subject.taps[index].tap.name,
        x: Axis("To the right", unit: "px", range: -half...half),
        y: Axis("Up", unit: "px", range: -half...half), marks(heads))
    }
    let many = chosen.contains { $0.1.count > Self.mostEllipses }
    return Figure(
      name: name, title: "Where heads look: \(results.subject.label)",
      subtitle: "n = \(images) image\(images == 1 ? "" : "s"); ellipses: one standard deviation"
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
    let shapes = heads.compactMap { head in head.shape.map { (head.number, $0) } }
    guard shapes.count > Self.mostEllipses else {
      for (number, shape) in shapes {
        let color = Style.category(number).color
        marks.append(
          .series(
            Series(
              "Head \(number)", ellipse(shape, label: "head \(number)"),
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
    func mean(_ value: ((x: Double, y: Double, xx: Double, xy: Double, yy: Double)) -> Double)
      -> Double
    {
      shapes.reduce(0) { $0 + value($1.1) } / n
    }
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
          "All heads", ellipse(whole, label: "all heads"),
          style: Style(color: Style.category(1).color, width: 1.4))))
    return marks
  }

  /// The points at one standard deviation around a centre.
  private func ellipse(
    _ shape: (x: Double, y: Double, xx: Double, xy: Double, yy: Double), label: String
  ) -> [Point] {
    let (mean, half) = ((shape.xx + shape.yy) / 2, (shape.xx - shape.yy) / 2)
    let root = (half * half + shape.xy * shape.xy).squareRoot()
    let (long, short) = (max(0, mean + root).squareRoot(), max(0, mean - root).squareRoot())
    let angle = atan2(shape.xy, half) / 2
    let steps = 36
    return (0...steps).map { step in
      let turn = 2 * Double.pi * Double(step % steps) / Double(steps)
      let (along, across) = (long * cos(turn), short * sin(turn))
      return Point(
        shape.x + along * cos(angle) - across * sin(angle),
        shape.y + along * sin(angle) + across * cos(angle), label: label)
    }
  }
}
