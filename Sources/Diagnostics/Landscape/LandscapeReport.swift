import Glibc
import Reports

/// Tables and figures of loss landscapes.
struct LandscapeReport {
  private let study: LandscapeStudy
  private let models: [EvaluatedModel]
  private let data: String

  init(_ study: LandscapeStudy, _ models: [EvaluatedModel], data: String) {
    (self.study, self.models, self.data) = (study, models, data)
  }

  var report: Report {
    let summary = summaryTable
    return Report(
      tables: [table, summary],
      figures: [study.isPlane ? contours : nil, lines].compactMap(\.self), summary: summary)
  }

  // MARK: Tables

  private var table: Table {
    var table = Table(
      "landscape",
      columns: [
        .text("model"), .text("data"), .integer("seed"), .text("norm"), .real("x"), .real("y"),
        .real("nll"), .real("se"), .real("acc"), .real("l1"), .real("l2_norm_sum"),
        .real("l2_half_sq"), .integer("n_images"), .text("status"),
      ])
    for model in models {
      for (index, place) in study.places.enumerated() {
        let (scores, weights) = (model.variants[index], model.weights[index])
        table.append([
          .text(model.label), .text(data),
          [.checkpoint, .hessian].contains(study.direction)
            ? .empty : .integer(Int(truncatingIfNeeded: study.seed)),
          .text(study.direction.rawValue), .real(place.x), .real(place.y), Cell(scores.loss),
          Cell(scores.lossError), Cell(scores.accuracy), Cell(weights?.l1),
          Cell(weights?.normSum), Cell(weights?.halfSquare), .integer(scores.count),
          .text(model.status([scores])),
        ])
      }
    }
    return table
  }

  private var summaryTable: Table {
    var table = Table(
      "landscape_summary",
      columns: [
        .text("model"), .text("to"), .integer("n_places"), .integer("n_images"), .real("nll"),
        .real("acc"), .real("nll_min"), .real("x_min"), .real("y_min"), .real("nll_max"),
        .real("curvature_x"), .real("curvature_y"), .real("radius"), .real("worst_rise"),
        .real("barrier"), .text("status"),
      ])
    for model in models {
      let losses = model.variants.map(\.loss)
      let known = zip(study.places, losses).compactMap { place, loss in loss.map { (place, $0) } }
      let least = known.min { $0.1 < $1.1 }
      let shape = LandscapeShape(study, losses, origin: model.baseline.loss)
      let whole = model.status([model.baseline])
      table.append([
        .text(model.label),
        Cell(study.targets.isEmpty ? nil : study.targets.map(\.label).joined(separator: ", ")),
        .integer(known.count), .integer(model.baseline.count), Cell(model.baseline.loss),
        Cell(model.baseline.accuracy), Cell(least?.1), Cell(least?.0.x), Cell(least?.0.y),
        Cell(known.map(\.1).max()), Cell(shape.curvatures[0]),
        Cell(study.isPlane ? shape.curvatures[1] : nil), .real(LandscapeShape.radius),
        Cell(shape.worstRise), Cell(shape.barrier),
        .text(
          whole == "ok" && known.count < losses.count ? "gaps" : whole),
      ])
    }
    return table
  }

  // MARK: Figures

  private var subtitle: String {
    let images = models.map(\.baseline.count).max() ?? 0
    let ways =
      switch study.direction {
      case .checkpoint: "to " + study.targets.map(\.label).joined(separator: " and ")
      case .hessian: "leading eigenvectors of the Hessian, of length 1"
      case .none: "random directions, not normalised, seed \(study.seed)"
      case .li, .hdvw, .layer:
        "random directions, norm \(study.direction.rawValue), seed \(study.seed)"
      }
    return "n = \(images) image\(images == 1 ? "" : "s") of \(data.displayable); \(ways)"
  }

  private func axis(_ place: Int, of what: String = "Step along direction") -> Axis {
    study.targets.isEmpty
      ? Axis("\(what) \(place + 1)") : Axis("Share of the way to \(study.targets[place].label)")
  }

  /// Loss and accuracy along each axis through the network as it is.
  private var lines: Figure? {
    let styles = Style.models(families: models.map(\.family))
    var panels: [Figure.Panel] = []
    for axis in study.axes.indices {
      func series(_ value: (ImageScores) -> Double?, _ error: (ImageScores) -> Double?) -> [Mark] {
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

  /// Lines of one loss over the plane, a panel a model, on one scale.
  private var contours: Figure? {
    let all = models.flatMap { $0.variants.compactMap(\.loss) }.filter { $0 > 0 }
    guard let low = all.min(), let high = all.max(), low < high else { return nil }
    let levels = Contours.levels(low...high, count: 14)
    let panels = models.map { model -> Figure.Panel in
      let rows = study.axes[1].indices.map { row in
        study.axes[0].indices.map { model.variants[row * study.axes[0].count + $0].loss }
      }
      let grid = Contours(x: study.axes[0], y: study.axes[1], values: rows)
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
      let origin = Style(color: Color(0x262626), marker: .plus, width: 0, markerSize: 8)
      var ends = [Point(0, 0, label: model.label)]
      if !study.targets.isEmpty {
        ends += [
          Point(1, 0, label: study.targets[0].label), Point(0, 1, label: study.targets[1].label),
        ]
      }
      marks.append(.series(Series("Network", ends, style: origin, inLegend: false)))
      func range(_ axis: [Double]) -> ClosedRange<Double>? {
        axis.count > 1 ? axis[0]...axis[axis.count - 1] : nil
      }
      var (x, y) = (axis(0), axis(1))
      (x.range, y.range) = (range(study.axes[0]), range(study.axes[1]))
      return Figure.Panel(title: models.count > 1 ? model.label : "", x: x, y: y, marks)
    }
    return Figure(
      name: "landscape", title: "Loss over a plane of weights",
      subtitle: subtitle + "; lines of one negative log-likelihood",
      summary: "Contours of the mean negative log-likelihood around each network, on one scale.",
      panels: panels, columns: 2, sharesX: true, sharesY: true,
      colorBar: Figure.ColorBar(
        "log10 of the negative log-likelihood (nats)", .plasma, range: log10(low)...log10(high)),
      legend: .none, panelSize: (300, 300))
  }
}
