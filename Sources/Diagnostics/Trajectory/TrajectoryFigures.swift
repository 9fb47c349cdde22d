import Reports
import StrictJSON

/// The way of a training over the loss.
public struct TrajectoryFigures {
  private let source: FigureSource

  static let axesName = "trajectory_axes"
  static let surfaceName = "trajectory_surface"

  /// The figure of the tables `trajectory`, `trajectory_axes` and `trajectory_surface`, if they are there.
  public init(_ source: FigureSource) { self.source = source }

  /// The way over lines of one loss; on a line, over the loss along it.
  public var all: [Figure] {
    get throws(ResultsError) {
      let figures = LandscapeFigures(
        source, table: Self.surfaceName, settings: source.settings["surface"] ?? .null)
      guard let table = source.table(TrajectoryStudy.name),
        let axes = source.table(Self.axesName), let surface = try figures.surface
      else { return [] }
      let title = "The way of a training over the loss of its last snapshot"
      let count = "\(table.rowCount) snapshots; "
      let explained = try axes.numbers("explained_variance")
      let (x, y) = (try table.numbers("x"), try table.numbers("y"))
      let names = try table.texts("snapshot")
      guard explained.count > 1, surface.isPlane else {
        return [line(surface, x, title, count + surface.subtitle, explained)].compactMap(\.self)
      }
      let points = names.indices.compactMap { row in
        x[row].map { Point($0, y[row], label: names[row]) }
      }
      let way = Mark.series(
        Series(
          "Snapshots", points,
          style: Style(color: Color(0x262626), marker: .circle, width: 1.2, markerSize: 4),
          inLegend: false))
      var figure = figures.contours(
        of: surface, named: TrajectoryStudy.name, title: title,
        axes: [axis(0, explained), axis(1, explained)], over: [way])
      figure?.subtitle = count + surface.subtitle
      return [figure].compactMap(\.self)
    }
  }

  private func axis(_ place: Int, _ explained: [Double?]) -> Axis {
    let share = explained.indices.contains(place) ? explained[place] : nil
    let words = share.map { ": \(NumberText.significant(100 * $0, digits: 3)) % of variance" }
    return Axis("\(place == 0 ? "First" : "Second") principal direction\(words ?? "")")
  }

  private func line(
    _ surface: LandscapeFigures.Surface, _ snapshots: [Double?], _ title: String,
    _ subtitle: String, _ explained: [Double?]
  ) -> Figure? {
    guard let model = surface.models.first, let losses = model.losses.first,
      losses.contains(where: { $0 != nil })
    else { return nil }
    let points = zip(surface.axes[0], losses).map { Point($0, $1) }
    return Figure(
      name: TrajectoryStudy.name, title: title, subtitle: subtitle,
      summary: "The negative log-likelihood along the line of all snapshots, which are marked.",
      panels: [
        Figure.Panel(
          x: axis(0, explained),
          y: Axis("Negative log-likelihood", unit: "nats", includesZero: true),
          [.series(Series(model.label, points, style: model.style))]
            + snapshots.compactMap(\.self).map {
              .position($0, name: "Snapshot", dash: .dotted)
            })
      ])
  }
}
