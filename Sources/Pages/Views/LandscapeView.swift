import Glibc
import Reports

extension View {
  static let landscape = View(
    id: "landscape", title: "Loss landscape",
    explanation:
      "The loss of networks whose weights are moved away from where training left them: along "
      + "lines, and where a plane was asked for as a map of colours.",
    tables: ["landscape_summary", "landscape"]
  ) { (run, _) throws(ResultsError) in
    try LandscapeFigures(run: run).all
  }
}

/// Lines through the network as it is, and a map of the plane of each model.
struct LandscapeFigures {
  let run: RunResults

  private struct Places {
    let x: [Double?]
    let y: [Double?]
    let loss: [Double?]
    let error: [Double?]

    init(_ table: CSVTable) throws(ResultsError) {
      (x, y) = (try table.numbers("x"), try table.numbers("y"))
      (loss, error) = (try table.numbers("nll"), try table.numbers("se"))
    }
  }

  var all: [Figure] {
    get throws(ResultsError) {
      guard let table = run.table("landscape") else { return [] }
      let places = try Places(table)
      let groups = try ModelRows.of(table, in: run)
      let images = imageCount(try table.numbers("n_images"))
      return ([lines(places, groups, images)] + groups.map { plane(places, $0, images) })
        .compactMap(\.self)
    }
  }

  private func lines(_ places: Places, _ groups: [ModelRows], _ images: String) -> Figure? {
    let panels = [(places.x, places.y), (places.y, places.x)].enumerated().compactMap {
      axis, place -> Figure.Panel? in
      let series = groups.compactMap { group -> Mark? in
        let points = group.rows.filter { place.1[$0] == 0 && places.loss[$0] != nil }
          .map {
            Point(place.0[$0] ?? 0, places.loss[$0], error: places.error[$0], label: "", key: nil)
          }
          .sorted { $0.x < $1.x }
        guard points.count > 1 else { return nil }
        return .series(Series(group.model, points, style: run.style(group.model)))
      }
      guard !series.isEmpty else { return nil }
      return Figure.Panel(
        x: Axis("Step along direction \(axis + 1)"),
        y: Axis("Negative log-likelihood", unit: "nats", includesZero: true), series)
    }
    guard !panels.isEmpty else { return nil }
    return Figure(
      name: "landscape_axes", title: "Loss along the axes",
      subtitle: "\(images); bands: 95 % intervals",
      summary: "Mean negative log-likelihood of networks whose weights are moved.", panels: panels,
      columns: 2, sharesX: false, sharesY: true)
  }

  /// Decades of the loss over the plane.
  private func plane(_ places: Places, _ group: ModelRows, _ images: String) -> Figure? {
    let across = Set(group.rows.compactMap { places.x[$0] }).sorted()
    let up = Set(group.rows.compactMap { places.y[$0] }).sorted()
    guard across.count > 1, up.count > 1, across.count * up.count <= 1 << 14 else { return nil }
    var losses: [[Double]: Double] = [:]
    for row in group.rows {
      if let x = places.x[row], let y = places.y[row], let loss = places.loss[row], loss > 0 {
        losses[[x, y]] = log10(loss)
      }
    }
    guard let low = losses.values.min(), let high = losses.values.max(), low < high else {
      return nil
    }
    func names(_ axis: [Double]) -> [String] { axis.map { NumberText.significant($0, digits: 3) } }
    return Figure(
      name: "landscape_\(group.model)", title: "Loss over the plane: \(group.model)",
      subtitle: images,
      summary: "The decimal logarithm of the mean negative log-likelihood around the network.",
      panels: [
        Figure.Panel(
          x: Axis("Step along direction 1"), y: Axis("Step along direction 2"),
          [
            .heatMap(
              HeatMap(
                up.map { y in across.map { losses[[$0, y]] } }, columnNames: names(across),
                rowNames: names(up)))
          ])
      ], colorBar: Figure.ColorBar("log10 of the loss (nats)", .plasma, range: low...high))
  }
}
