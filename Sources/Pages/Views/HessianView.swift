import Reports

extension View {
  static let hessian = View(
    id: "hessian", title: "Hessian eigenvalues",
    explanation:
      "How sharp the loss is around the network, and how far from convex: the eigenvalues of "
      + "largest magnitude of the Hessian, of each minibatch. Bars are residuals: an eigenvalue lies "
      + "within its bar.",
    tables: ["hessian_summary", "hessian_eigs", "hessian_density"]
  ) { (run, _) throws(ResultsError) in
    let figures = HessianFigures(run: run)
    return [try figures.densities, try figures.ends].compactMap(\.self)
  }
}

/// Densities of eigenvalues by decades, and the ends of the spectrum of each minibatch.
struct HessianFigures {
  let run: RunResults

  /// Negative values left, positive right, each over the decades of its magnitude.
  var densities: Figure? {
    get throws(ResultsError) {
      guard let table = run.table("hessian_density") else { return nil }
      let (sources, sides) = (try table.texts("source"), try table.texts("side"))
      let (x, density) = (try table.numbers("x"), try table.numbers("density"))
      func panel(_ side: String, _ title: String) throws(ResultsError) -> Figure.Panel? {
        let areas = try ModelRows.of(table, in: run).compactMap { group -> Mark? in
          let points = group.rows.filter { sources[$0] == "kde_decade" && sides[$0] == side }
            .compactMap { row -> Point? in
              guard let x = x[row]?.magnitude, x > 0 else { return nil }
              return Point(x, density[row])
            }
          guard points.count > 1 else { return nil }
          var style = run.style(group.model)
          (style.marker, style.width) = (nil, 1.2)
          return .area(Area(group.model, points.sorted { $0.x < $1.x }, style: style))
        }
        guard !areas.isEmpty else { return nil }
        return Figure.Panel(
          title: title, x: Axis("Magnitude", scale: .log),
          y: Axis("Density per decade", includesZero: true), areas)
      }
      let panels = [
        try panel("neg", "Negative eigenvalues"), try panel("pos", "Positive eigenvalues"),
      ].compactMap(\.self)
      guard !panels.isEmpty else { return nil }
      return Figure(
        name: "hessian_density", title: "Hessian eigenvalues of largest magnitude",
        subtitle: "Densities over the decades of the magnitude, by sign",
        summary: "Densities of the eigenvalues of largest magnitude, by sign.", panels: panels,
        sharesX: true, sharesY: true)
    }
  }

  /// Every eigenvalue of largest magnitude, minibatch by minibatch.
  var ends: Figure? {
    get throws(ResultsError) {
      guard let table = run.table("hessian_eigs") else { return nil }
      let (which, ranks) = (try table.texts("which"), try table.numbers("rank"))
      let (values, residuals) = (try table.numbers("eigenvalue"), try table.numbers("residual"))
      let (batches, statuses) = (try table.numbers("batch_index"), try table.texts("status"))
      let panels = try ModelRows.of(table, in: run).compactMap { group -> Figure.Panel? in
        let style = run.style(group.model)
        func series(_ name: String, isConverged: Bool) -> Mark? {
          let rows = group.rows.filter {
            which[$0] == "mag" && values[$0] != nil
              && (statuses[$0] == "not_converged") != isConverged
          }
          guard !rows.isEmpty else { return nil }
          let points = rows.map { row -> Point in
            let (value, residual) = (values[row] ?? 0, residuals[row] ?? 0)
            let rank = ranks[row].map { "rank \(whole($0))" } ?? ""
            return Point(
              batches[row] ?? 0, value, low: value - residual, high: value + residual, label: rank)
          }
          var own = style
          (own.width, own.isHollow) = (0, !isConverged)
          return .series(
            Series(name, points, style: own, interval: .bars, inLegend: !isConverged))
        }
        let marks = [
          Mark.level(0, name: nil, dash: .dotted), series(group.model, isConverged: true),
          series("\(group.model), not converged", isConverged: false),
        ].compactMap(\.self)
        let known = group.rows.compactMap { batches[$0] }
        guard marks.count > 1 else { return nil }
        let (first, last) = (known.min() ?? 0, known.max() ?? 0)
        return Figure.Panel(
          title: group.model, x: Axis("Minibatch", range: first - 0.5...last + 0.5),
          y: Axis("Eigenvalue", includesZero: true), marks)
      }
      guard !panels.isEmpty else { return nil }
      return Figure(
        name: "hessian_eigenvalues", title: "Eigenvalues of each minibatch",
        subtitle: "largest magnitudes; bars: residuals |Hv − λv|",
        summary: "The eigenvalues of largest magnitude of the Hessian of each minibatch.",
        panels: panels, sharesX: false, sharesY: false)
    }
  }
}
