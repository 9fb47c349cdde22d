import Reports

extension HessianFigures {
  /// Every eigenvalue of largest magnitude, minibatch by minibatch, with its residual as a bar. For pages that tell
  /// what is under the pointer.
  public var minibatches: Figure? {
    get throws(ResultsError) {
      guard let table = source.table("hessian_eigs") else { return nil }
      let (which, ranks) = (try table.texts("which"), try table.texts("rank"))
      let (values, residuals) = (try table.numbers("eigenvalue"), try table.numbers("residual"))
      let (batches, statuses) = (try table.numbers("batch_index"), try table.texts("status"))
      let panels = try table.rowsByModel().compactMap { group -> Figure.Panel? in
        func series(_ name: String, isConverged: Bool) -> Mark? {
          let points = group.rows.compactMap { row -> Point? in
            let isOpen = statuses[row].split(separator: ";").first == "not_converged"
            guard which[row] == "mag", let value = values[row], isOpen != isConverged else {
              return nil
            }
            let residual = residuals[row] ?? 0
            return Point(
              batches[row] ?? 0, value, low: value - residual, high: value + residual,
              label: ranks[row].isEmpty ? "" : "rank \(ranks[row])")
          }
          guard !points.isEmpty else { return nil }
          var style = source.style(group.value)
          (style.width, style.isHollow) = (0, !isConverged)
          return .series(
            Series(name, points, style: style, interval: .bars, inLegend: !isConverged))
        }
        let marks = [
          Mark.level(0, name: nil, dash: .dotted), series(group.value, isConverged: true),
          series("\(group.value), not converged", isConverged: false),
        ].compactMap(\.self)
        guard marks.count > 1 else { return nil }
        let known = group.rows.compactMap { batches[$0] }
        let (first, last) = (known.min() ?? 0, known.max() ?? 0)
        return Figure.Panel(
          title: group.value, x: Axis("Minibatch", range: first - 0.5...last + 0.5),
          y: Axis("Eigenvalue", includesZero: true), marks)
      }
      guard !panels.isEmpty else { return nil }
      return Figure(
        name: "hessian_minibatches", title: "Eigenvalues of each minibatch",
        subtitle: "largest magnitudes; bars: residuals |Hv − λv|",
        summary: "The eigenvalues of largest magnitude of the Hessian of each minibatch.",
        panels: panels, sharesX: false, sharesY: false)
    }
  }
}
