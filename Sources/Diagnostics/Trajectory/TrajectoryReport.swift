import Reports

/// Tables and figures of a training's way.
struct TrajectoryReport {
  private let study: TrajectoryStudy
  private let models: [EvaluatedModel]
  private let data: String
  private let plane: SnapshotPlane

  init(_ study: TrajectoryStudy, _ models: [EvaluatedModel], data: String) throws {
    (self.study, self.models, self.data) = (study, models, data)
    plane = try SnapshotPlane(products: study.products, count: study.snapshots.count)
  }

  var report: Report {
    let surface = LandscapeReport(study.surface, models, data: data)
    let table = table
    return Report(
      tables: [table, axesTable, surface.table(named: "trajectory_surface")],
      figures: [figure].compactMap(\.self),
      summary: table.selecting([
        "snapshot", "epoch", "x", "y", "distance", "off_plane", "status",
      ]), grids: surface.grids(named: "trajectory"))
  }

  // MARK: Tables

  /// A row a snapshot.
  private var table: Table {
    var table = Table(
      TrajectoryStudy.name,
      columns: [
        .integer("index"), .text("snapshot"), .integer("epoch"), .real("x"), .real("y"),
        .real("x_cos"), .real("y_cos"), .real("distance"), .real("off_plane"), .text("status"),
      ])
    let status = plane.axes.count > 1 ? "ok" : "on_a_line"
    for (index, (snapshot, place)) in zip(study.snapshots, plane.coordinates).enumerated() {
      func along(_ axis: Int, _ values: [Double]) -> Cell {
        Cell(values.indices.contains(axis) ? values[axis] : nil)
      }
      table.append([
        .integer(index), .text(snapshot.label), Cell(snapshot.epoch),
        along(0, place.leastSquares), along(1, place.leastSquares), along(0, place.cosine),
        along(1, place.cosine), .real(place.distance), .real(place.offPlane), .text(status),
      ])
    }
    return table
  }

  /// A row an axis.
  private var axesTable: Table {
    var table = Table(
      "trajectory_axes",
      columns: [
        .text("axis"), .real("explained_variance"), .integer("n_snapshots"), .integer("n_values"),
        .text("status"),
      ])
    for (name, explained) in zip(["x", "y"], plane.explained) {
      table.append([
        .text(name), .real(explained), .integer(study.snapshots.count),
        .integer(study.valueCount), "ok",
      ])
    }
    return table
  }

  // MARK: Figure

  private func axis(_ place: Int) -> Axis {
    let share = NumberText.significant(100 * plane.explained[place], digits: 3)
    return Axis("\(place == 0 ? "First" : "Second") principal direction: \(share) % of variance")
  }

  /// The way over lines of one loss; on a line, over the loss along it.
  private var figure: Figure? {
    guard let model = models.first else { return nil }
    let figures = LandscapeFigures(study.surface, models, data: data)
    let title = "The way of a training over the loss of its last snapshot"
    let count = "\(study.snapshots.count) snapshots; "
    let ink = Color(0x262626)
    func mark(_ places: [SnapshotPlane.Coordinates], _ height: (Int) -> Double?) -> Mark {
      let points = places.indices.map {
        Point(places[$0].leastSquares[0], height($0), label: study.snapshots[$0].label)
      }
      return .series(
        Series(
          "Snapshots", points, style: Style(color: ink, marker: .circle, width: 1.2, markerSize: 4),
          inLegend: false))
    }
    if plane.axes.count > 1 {
      let way = mark(plane.coordinates) { plane.coordinates[$0].leastSquares[1] }
      var figure = figures.contours(
        named: TrajectoryStudy.name, title: title, axes: [axis(0), axis(1)], over: [way])
      figure?.subtitle = count + figures.subtitle
      return figure
    }
    let points = zip(study.surface.places, model.variants).map { Point($0.x, $1.loss) }
    guard points.contains(where: { $0.y != nil }) else { return nil }
    let style = Style.models(families: [model.family])[0]
    return Figure(
      name: TrajectoryStudy.name, title: title, subtitle: count + figures.subtitle,
      summary: "The negative log-likelihood along the line of all snapshots, which are marked.",
      panels: [
        Figure.Panel(
          x: axis(0), y: Axis("Negative log-likelihood", unit: "nats", includesZero: true),
          [.series(Series(model.label, points, style: style))]
            + plane.coordinates.map {
              .position($0.leastSquares[0], name: "Snapshot", dash: .dotted)
            })
      ])
  }
}
