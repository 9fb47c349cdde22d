import Glibc
import Reports
import StrictJSON

/// Figures of the loss over lines and planes of weights.
public struct LandscapeFigures {
  private let source: FigureSource
  private let table: String
  /// What was set of the directions.
  private let settings: JSONValue

  /// Figures of the table `landscape`, if it is there.
  public init(_ source: FigureSource) {
    self.init(source, table: LandscapeStudy.name, settings: source.settings)
  }

  init(_ source: FigureSource, table: String, settings: JSONValue) {
    (self.source, self.table, self.settings) = (source, table, settings)
  }

  /// Contours and surface of a plane, then the lines along its axes.
  public var all: [Figure] {
    get throws(ResultsError) {
      guard let surface = try surface else { return [] }
      return [
        surface.isPlane ? contours(of: surface) : nil, surface.isPlane ? mesh(of: surface) : nil,
        lines(surface),
      ].compactMap(\.self)
    }
  }

  /// The losses of all models at all places.
  struct Surface {
    struct Model {
      let label: String
      /// `[y][x]`; nil where there is none.
      var losses: [[Double?]]
      var errors: [[Double?]]
      var accuracies: [[Double?]]
      let style: Style
    }
    /// Places along each axis, in increasing order; one place along the second of a line.
    let axes: [[Double]]
    /// Whether it is a plane; else a line.
    let isPlane: Bool
    let models: [Model]
    /// On what, and in which directions.
    let subtitle: String
    /// What each axis leads to; empty for directions.
    let targets: [String]

    /// The least and greatest positive loss of all models.
    var range: ClosedRange<Double>? {
      let all = models.flatMap(\.losses).joined().compactMap(\.self).filter { $0 > 0 }
      guard let low = all.min(), let high = all.max(), log10(low) < log10(high) else { return nil }
      return low...high
    }
  }

  /// Nil without the table, and for places that make no grid.
  var surface: Surface? {
    get throws(ResultsError) {
      guard let table = source.table(table) else { return nil }
      let (x, y) = (try table.numbers("x"), try table.numbers("y"))
      let (losses, errors) = (try table.numbers("nll"), try table.numbers("se"))
      let accuracies = table.has("acc") ? try table.numbers("acc") : losses.map { _ in nil }
      let axes = [x, y].map { Set($0.compactMap(\.self)).sorted() }
      let groups = try table.rowsByModel()
      let places = groups.map(\.rows.count).max() ?? 0
      guard axes.allSatisfy({ !$0.isEmpty }), axes[0].count <= places, axes[1].count <= places,
        axes[0].count * axes[1].count <= 2 * places
      else { return nil }
      let columns = Dictionary(uniqueKeysWithValues: axes[0].enumerated().map { ($1, $0) })
      let lines = Dictionary(uniqueKeysWithValues: axes[1].enumerated().map { ($1, $0) })
      let empty = [[Double?]](
        repeating: [Double?](repeating: nil, count: axes[0].count), count: axes[1].count)
      let models = groups.map { group in
        var model = Surface.Model(
          label: group.value, losses: empty, errors: empty, accuracies: empty,
          style: source.style(group.value))
        for row in group.rows {
          guard let column = x[row].flatMap({ columns[$0] }),
            let line = y[row].flatMap({ lines[$0] })
          else { continue }
          model.losses[line][column] = losses[row]
          model.errors[line][column] = errors[row]
          model.accuracies[line][column] = accuracies[row]
        }
        return model
      }
      let targets = (settings["to"]?.arrayValue ?? []).compactMap { $0["label"]?.stringValue }
      let count = settings["axes"]?.arrayValue?.count ?? (axes[1].count > 1 ? 2 : 1)
      return Surface(
        axes: axes, isPlane: count > 1, models: models,
        subtitle: try subtitle(table, targets),
        targets: targets.count == count ? targets : [])
    }
  }

  private func subtitle(
    _ table: any TableRows, _ targets: [String]
  ) throws(ResultsError) -> String {
    let norm = table.has("norm") ? try table.constant("norm") : ""
    let seed = settings["seed"]?.intValue.map { ", seed \(UInt64(bitPattern: Int64($0)))" } ?? ""
    let ways: String? =
      switch LandscapeStudy.Direction(rawValue: norm) {
      case .checkpoint: "to " + targets.joined(separator: " and ")
      case .hessian: "leading eigenvectors of the Hessian, of length 1"
      case .trajectory: "principal directions of the snapshots, of length 1"
      case .some(.none): "random directions, not normalised\(seed)"
      case .li, .hdvw, .layer: "random directions, norm \(norm)\(seed)"
      case nil: nil
      }
    let statistics =
      settings["batchnorm"]?.stringValue == LandscapeStudy.Statistics.recompute.rawValue
      ? "; running statistics estimated anew at each place" : ""
    return try table.imageCount(of: "data") + (ways.map { "; \($0)" } ?? "") + statistics
  }

  private func axis(_ place: Int, _ surface: Surface) -> Axis {
    surface.targets.indices.contains(place)
      ? Axis("Share of the way to \(surface.targets[place])")
      : Axis("Step along direction \(place + 1)")
  }

  /// Loss and accuracy along each axis through the network as it is.
  private func lines(_ surface: Surface) -> Figure? {
    guard surface.models.contains(where: { $0.losses.joined().contains { $0 != nil } }) else {
      return nil
    }
    var panels: [Figure.Panel] = []
    for axis in 0..<(surface.isPlane ? 2 : 1) {
      let (places, origin) = (surface.axes[axis], surface.axes[1 - axis].firstIndex(of: 0))
      func series(
        _ values: KeyPath<Surface.Model, [[Double?]]>, unit: Double,
        errors: KeyPath<Surface.Model, [[Double?]]>? = nil
      ) -> [Mark] {
        surface.models.map { model in
          let points = places.indices.compactMap { place -> Point? in
            guard let origin else { return nil }
            let (row, column) = axis == 0 ? (origin, place) : (place, origin)
            return Point(
              places[place], model[keyPath: values][row][column].map { unit * $0 },
              error: errors.flatMap { model[keyPath: $0][row][column] }, label: "")
          }
          return .series(Series(model.label, points, style: model.style))
        }
      }
      panels.append(
        Figure.Panel(
          x: self.axis(axis, surface),
          y: Axis("Negative log-likelihood", unit: "nats", includesZero: true),
          series(\.losses, unit: 1, errors: \.errors)))
      panels.append(
        Figure.Panel(
          x: self.axis(axis, surface),
          y: Axis(
            "Accuracy", unit: "%", range: -2...102,
            ticks: [0, 25, 50, 75, 100].map { Axis.Tick($0, "\(Int($0))") }),
          series(\.accuracies, unit: 100)))
    }
    return Figure(
      name: surface.isPlane ? "landscape_axes" : "landscape",
      title: surface.isPlane ? "Loss along the axes of the plane" : "Loss along a line of weights",
      subtitle: surface.subtitle + "; bands: 95 % intervals over images",
      summary: "Mean negative log-likelihood and accuracy of networks whose weights are moved.",
      panels: panels, columns: 2, sharesX: false, sharesY: false)
  }

  // MARK: Contours

  /// Lines of one loss over the plane, a panel a model, on one scale.
  ///
  /// - Parameters:
  ///   - axes: what the axes are called; nil for the directions.
  ///   - over: what is drawn over the lines.
  func contours(
    of surface: Surface, named name: String = "landscape",
    title: String = "Loss over a plane of weights",
    axes: [Axis]? = nil, over: [Mark] = []
  ) -> Figure? {
    guard let range = surface.range else { return nil }
    let levels = Contours.levels(range, count: 14)
    let panels = surface.models.map { model -> Figure.Panel in
      let grid = Contours(x: surface.axes[0], y: surface.axes[1], values: model.losses)
      var marks = levels.map { level -> Mark in
        // The pieces of a line are apart from each other.
        let points = grid.pieces(level).flatMap { from, to in
          [Point(from.x, from.y), Point(to.x, to.y), Point(to.x, nil)]
        }
        return .series(
          Series(
            "NLL \(NumberText.significant(level, digits: 3))", points,
            style: Style(color: Color(0x4D4D4D), width: 1.6), paint: .value(log10(level)),
            inLegend: false))
      }
      marks += over
      let origin = Style(color: Color(0x262626), marker: .plus, width: 0, markerSize: 8)
      var ends = [Point(0, 0, label: model.label)]
      if surface.targets.count == 2 {
        ends += [
          Point(1, 0, label: surface.targets[0]), Point(0, 1, label: surface.targets[1]),
        ]
      }
      marks.append(.series(Series("Network", ends, style: origin, inLegend: false)))
      func limits(_ axis: [Double]) -> ClosedRange<Double>? {
        axis.count > 1 ? axis[0]...axis[axis.count - 1] : nil
      }
      var (x, y) = (axes?[0] ?? axis(0, surface), axes?[1] ?? axis(1, surface))
      (x.range, y.range) = (limits(surface.axes[0]), limits(surface.axes[1]))
      return Figure.Panel(title: surface.models.count > 1 ? model.label : "", x: x, y: y, marks)
    }
    return Figure(
      name: name, title: title,
      subtitle: surface.subtitle + "; lines of one negative log-likelihood",
      summary: "Contours of the mean negative log-likelihood around each network, on one scale.",
      panels: panels, columns: 2, sharesX: true, sharesY: true,
      colorBar: Figure.ColorBar(
        "log10 of the negative log-likelihood (nats)", .ember,
        range: log10(range.lowerBound)...log10(range.upperBound)),
      legend: .none, panelSize: (300, 300))
  }

  // MARK: Surface

  /// Lines of a mesh that are drawn along each axis, at most.
  private static let meshLines = 25

  /// The loss as a mesh seen from above at an angle, as Park and Kim draw it, a panel a model, on one scale.
  /// What lies above twice the lowest of the models' rims is cut off, so that each surface has a shape.
  private func mesh(of surface: Surface) -> Figure? {
    guard let range = surface.range, surface.axes.allSatisfy({ $0.count > 1 }) else { return nil }
    let rims = surface.models.compactMap { $0.losses.joined().compactMap(\.self).max() }
    let top = min(range.upperBound, 2 * (rims.min() ?? range.upperBound))
    guard top > range.lowerBound else { return nil }
    func unit(_ axis: Int, _ place: Int) -> Double {
      let values = surface.axes[axis]
      return 2 * (values[place] - values[0]) / (values[values.count - 1] - values[0]) - 1
    }
    /// The isometric view: the first direction leads down to the right, the second up to the right.
    func project(_ column: Int, _ row: Int, _ height: Double) -> (x: Double, y: Double) {
      let (x, y) = (unit(0, column), unit(1, row))
      return ((x + y) * 0.75.squareRoot(), (y - x) / 2 + 2 * height / top)
    }
    func shown(_ count: Int) -> [Int] {
      let step = max(1, (count - 1 + Self.meshLines - 2) / (Self.meshLines - 1))
      return Array(stride(from: 0, to: count, by: step))
    }
    let heights = surface.models.flatMap { model in
      model.losses.indices.flatMap { row in
        model.losses[row].indices.compactMap { column in
          model.losses[row][column].flatMap { $0 <= top ? project(column, row, $0).y : nil }
        }
      }
    }
    let span = ((heights.min() ?? 0) - 0.05)...((heights.max() ?? 0) + 0.05)
    let panels = surface.models.map { model -> Figure.Panel in
      let losses = model.losses
      func line(_ places: [(column: Int, row: Int)]) -> Mark {
        var (points, values) = ([Point](), [Double]())
        for (column, row) in places {
          let loss = losses[row][column].flatMap { $0 <= top ? $0 : nil }
          let at = project(column, row, loss ?? 0)
          points.append(Point(at.x, loss == nil ? nil : at.y))
          values.append(loss ?? 0)
        }
        return .series(
          Series(
            model.label, points, style: Style(color: Color(0x4D4D4D), width: 1),
            paint: .values(values), inLegend: false))
      }
      let (columns, rowCount) = (surface.axes[0].count, surface.axes[1].count)
      let marks =
        shown(rowCount).reversed().map { row in line((0..<columns).map { ($0, row) }) }
        + shown(columns).map { column in line((0..<rowCount).map { (column, $0) }) }
      // Heights are told at the left corner, where the floor of the view is at 0.
      let ticks = Self.roundHeights(to: top).filter { span.contains(2 * $0 / top) }.map {
        Axis.Tick(2 * $0 / top, NumberText.trimmed($0, 12))
      }
      return Figure.Panel(
        title: surface.models.count > 1 ? model.label : "",
        x: Axis("Direction 1 →↓, direction 2 →↑", range: -1.75...1.75, ticks: []),
        y: Axis("NLL at the left corner", unit: "nats", range: span, ticks: ticks), marks)
    }
    return Figure(
      name: "landscape_surface", title: "Loss as a surface over a plane of weights",
      subtitle: surface.subtitle
        + (top < range.upperBound
          ? "; cut off above \(NumberText.significant(top, digits: 3)) nats" : ""),
      summary: "The mean negative log-likelihood around each network as a mesh, on one scale.",
      panels: panels, columns: 2, sharesX: true, sharesY: true,
      colorBar: Figure.ColorBar(
        "Negative log-likelihood (nats)", .ember, range: min(0, range.lowerBound)...top),
      legend: .none, panelSize: (300, 300))
  }

  /// 0 and up to four or five multiples of 1, 2 or 5 times a power of ten.
  private static func roundHeights(to top: Double) -> [Double] {
    let power = pow(10, log10(top / 4).rounded(.down))
    let step = [1, 2, 5, 10].map { $0 * power }.first { $0 >= top / 4 } ?? top
    return step > 0 && (top / step).isFinite ? Array(stride(from: 0, through: top, by: step)) : [0]
  }
}
