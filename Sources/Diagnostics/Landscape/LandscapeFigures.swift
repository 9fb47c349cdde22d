import Glibc
import Reports

/// Figures of the loss over lines and planes of weights.
struct LandscapeFigures {
  private let study: LandscapeStudy
  private let models: [EvaluatedModel]
  private let data: String

  init(_ study: LandscapeStudy, _ models: [EvaluatedModel], data: String) {
    (self.study, self.models, self.data) = (study, models, data)
  }

  /// On what, and in which directions.
  var subtitle: String {
    let images = models.map(\.baseline.count).max() ?? 0
    let ways =
      switch study.direction {
      case .checkpoint: "to " + study.targets.map(\.label).joined(separator: " and ")
      case .hessian: "leading eigenvectors of the Hessian, of length 1"
      case .trajectory: "principal directions of the snapshots, of length 1"
      case .none: "random directions, not normalised, seed \(study.seed)"
      case .li, .hdvw, .layer:
        "random directions, norm \(study.direction.rawValue), seed \(study.seed)"
      }
    let statistics =
      study.statistics == .recompute ? "; running statistics estimated anew at each place" : ""
    return "n = \(images) image\(images == 1 ? "" : "s") of \(data.displayable); \(ways)"
      + statistics
  }

  private func axis(_ place: Int) -> Axis {
    study.targets.isEmpty
      ? Axis("Step along direction \(place + 1)")
      : Axis("Share of the way to \(study.targets[place].label)")
  }

  /// Loss and accuracy along each axis through the network as it is.
  var lines: Figure? {
    let styles = Style.models(families: models.map(\.family))
    var panels: [Figure.Panel] = []
    for axis in study.axes.indices {
      func series(_ value: (ScoreSums) -> Double?, _ error: (ScoreSums) -> Double?) -> [Mark] {
        zip(models, styles).map { model, style in
          let points = zip(study.places, model.variants).compactMap { place, scores -> Point? in
            let (at, other) = axis == 0 ? (place.x, place.y) : (place.y, place.x)
            guard other == 0 else { return nil }
            let (mean, half) = (value(scores), error(scores).map { ImageMoments.halfWidth * $0 })
            return Point(
              at, mean, low: mean.flatMap { mean in half.map { mean - $0 } },
              high: mean.flatMap { mean in half.map { mean + $0 } })
          }
          return .series(Series(model.label, points, style: style))
        }
      }
      let loss = series(\.loss, \.lossError)
      let accuracy = series({ $0.accuracy.map { 100 * $0 } }, { _ in nil })
      panels.append(
        Figure.Panel(
          x: self.axis(axis), y: Axis("Negative log-likelihood", unit: "nats", includesZero: true),
          loss))
      panels.append(
        Figure.Panel(
          x: self.axis(axis), y: Axis("Accuracy", unit: "%", range: 0...100), accuracy))
    }
    guard models.contains(where: { $0.variants.contains { $0.loss != nil } }) else { return nil }
    return Figure(
      name: study.isPlane ? "landscape_axes" : "landscape",
      title: study.isPlane ? "Loss along the axes of the plane" : "Loss along a line of weights",
      subtitle: subtitle + "; bands: 95 % intervals over images",
      summary: "Mean negative log-likelihood and accuracy of networks whose weights are moved.",
      panels: panels, columns: 2, sharesX: false, sharesY: false)
  }

  /// The least and greatest positive loss of all models.
  private var range: ClosedRange<Double>? {
    let all = models.flatMap { $0.variants.compactMap(\.loss) }.filter { $0 > 0 }
    guard let low = all.min(), let high = all.max(), low < high else { return nil }
    return low...high
  }

  private func rows(_ model: EvaluatedModel) -> [[Double?]] {
    study.axes[1].indices.map { row in
      study.axes[0].indices.map { model.variants[row * study.axes[0].count + $0].loss }
    }
  }

  // MARK: Contours

  /// Lines of one loss over the plane, a panel a model, on one scale.
  ///
  /// - Parameters:
  ///   - axes: what the axes are called; nil for the directions.
  ///   - over: what is drawn over the lines.
  func contours(
    named name: String = "landscape", title: String = "Loss over a plane of weights",
    axes: [Axis]? = nil, over: [Mark] = []
  ) -> Figure? {
    guard let range else { return nil }
    let levels = Contours.levels(range, count: 14)
    let panels = models.map { model -> Figure.Panel in
      let grid = Contours(x: study.axes[0], y: study.axes[1], values: rows(model))
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
      if !study.targets.isEmpty {
        ends += [
          Point(1, 0, label: study.targets[0].label), Point(0, 1, label: study.targets[1].label),
        ]
      }
      marks.append(.series(Series("Network", ends, style: origin, inLegend: false)))
      func limits(_ axis: [Double]) -> ClosedRange<Double>? {
        axis.count > 1 ? axis[0]...axis[axis.count - 1] : nil
      }
      var (x, y) = (axes?[0] ?? axis(0), axes?[1] ?? axis(1))
      (x.range, y.range) = (limits(study.axes[0]), limits(study.axes[1]))
      return Figure.Panel(title: models.count > 1 ? model.label : "", x: x, y: y, marks)
    }
    return Figure(
      name: name, title: title, subtitle: subtitle + "; lines of one negative log-likelihood",
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
  func surface() -> Figure? {
    guard let range, study.axes.allSatisfy({ $0.count > 1 }) else { return nil }
    let rims = models.compactMap { $0.variants.compactMap(\.loss).max() }
    let top = min(range.upperBound, 2 * (rims.min() ?? range.upperBound))
    guard top > range.lowerBound else { return nil }
    func unit(_ axis: Int, _ place: Int) -> Double {
      let values = study.axes[axis]
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
    let panels = models.map { model -> Figure.Panel in
      let losses = rows(model)
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
      let (columns, rowCount) = (study.axes[0].count, study.axes[1].count)
      let marks =
        shown(rowCount).reversed().map { row in line((0..<columns).map { ($0, row) }) }
        + shown(columns).map { column in line((0..<rowCount).map { (column, $0) }) }
      // Heights are told at the left corner, where the floor of the view is at 0.
      let ticks = Self.roundHeights(to: top).map {
        Axis.Tick(2 * $0 / top, NumberText.trimmed($0, 12))
      }
      return Figure.Panel(
        title: models.count > 1 ? model.label : "",
        x: Axis("Direction 1 →↓, direction 2 →↑", range: -1.75...1.75, ticks: []),
        y: Axis("NLL at the left corner", unit: "nats", range: -1.05...3.05, ticks: ticks), marks)
    }
    return Figure(
      name: "landscape_surface", title: "Loss as a surface over a plane of weights",
      subtitle: subtitle
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
    return Array(stride(from: 0, through: top, by: step))
  }
}
