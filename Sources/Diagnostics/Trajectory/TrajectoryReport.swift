import Reports

/// Tables of a training's way.
struct TrajectoryReport {
  private let study: TrajectoryStudy
  /// The loss over the plane.
  private let surface: StudyResults<LandscapeStudy>
  private let plane: SnapshotPlane

  init(_ results: StudyResults<TrajectoryStudy>) throws {
    study = results.study
    surface = StudyResults(study.surface, results.models, on: results.data)
    plane = try SnapshotPlane(products: study.products, count: study.snapshots.count)
  }

  var report: Report {
    get throws {
      let tables = [table, axesTable, surface.table(named: TrajectoryFigures.surfaceName)]
      let source = FigureSource(
        tables, settings: study.settings, networks: surface.models.map(NetworkOutline.init))
      return Report(
        tables: tables, figures: try TrajectoryFigures(source).all,
        summary: tables[0].selecting([
          "snapshot", "epoch", "x", "y", "distance", "off_plane", "status",
        ]), grids: surface.grids(named: TrajectoryStudy.name), networks: source.networks)
    }
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
      TrajectoryFigures.axesName,
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
}
