import Reports

/// The tables of robustness.
extension StudyResults<RobustnessStudy> {
  var report: Report {
    get throws {
      let (table, gradients) = (table, gradientTable)
      let tables = [study.perturbations.isEmpty ? nil : table, gradients].compactMap(\.self)
      let source = FigureSource(
        tables, settings: study.settings, networks: models.map(NetworkOutline.init))
      return Report(
        tables: tables, figures: try RobustnessFigures(source).all,
        summary: summary(of: table) ?? gradients ?? table, networks: source.networks)
    }
  }

  /// Without the frequencies of the plane, which are many; of these alone, the few that cost each model most.
  private func summary(of table: Table) -> Table? {
    guard !study.perturbations.isEmpty else { return nil }
    let count = study.perturbations.count
    var kept = study.perturbations.indices.filter { study.perturbations[$0].basis == nil }
      .reduce(into: Set<Int>()) { kept, place in
        for model in models.indices { kept.insert(model * count + place) }
      }
    if kept.isEmpty {
      for (model, evaluated) in models.enumerated() {
        let accuracies = evaluated.variants.prefix(count).map { $0.accuracy ?? 0 }
        let worst = accuracies.indices.sorted {
          (accuracies[$0], $0) < (accuracies[$1], $1)
        }.prefix(5)
        kept.formUnion(worst.map { model * count + $0 })
      }
    }
    let rows = table.rows.indices.filter { kept.contains($0) }.map { table.rows[$0] }
    return Table(table.name, columns: table.columns, rows: rows).selecting(
      [
        "model", "test", "severity", "f_over_pi", "ky", "kx", "noise_rms", "n_images", "acc_clean",
        "acc_noisy", "delta_acc_pp", "ci_lo", "ci_hi", "mcnemar_p", "status",
      ].filter { name in
        !["ky", "kx"].contains(name) || study.perturbations.allSatisfy { $0.basis != nil }
      })
  }

  // MARK: Tables

  private var table: Table {
    var table = Table(
      "robustness",
      columns: [
        .text("model"), .text("data"), .text("test"), .integer("severity"), .real("f_over_pi"),
        .integer("ky"), .integer("kx"), .real("s"), .real("eps"), .text("sign"), .text("mask"),
        .text("renorm"), .real("noise_rms"), .integer("n_images"), .real("acc_clean"),
        .real("acc_noisy"), .real("delta_acc_pp"), .real("ci_lo"), .real("ci_hi"),
        .real("mcnemar_p"), .real("nll_clean"), .real("nll_noisy"), .real("delta_nll"),
        .real("nll_ci_lo"), .real("nll_ci_hi"), .text("status"),
      ])
    for model in models {
      for (perturbation, scores) in zip(study.perturbations, model.variants) {
        let change = PairedDifference(scores)
        let (accuracy, loss) = (change?.accuracy, change?.loss)
        let rms = scores.inputChangeRMS
        let noise = perturbation.frequency == nil ? nil : study.noise
        let basis = perturbation.basis == nil ? nil : study.basis
        // A ring between two frequencies of a small image holds none.
        let isEmpty = rms == 0 && (noise?.amplitude ?? 0) > 0
        let own = model.status([model.baseline, scores])
        table.append([
          .text(model.label), .text(data), .text(perturbation.test),
          Cell(perturbation.corruption?.severity), Cell(perturbation.frequency),
          Cell(perturbation.basis?.ky), Cell(perturbation.basis?.kx), Cell(noise?.halfWidth),
          Cell(noise?.amplitude ?? basis?.length), Cell(noise.map { "\($0.isSign)" }),
          Cell(noise?.mask.rawValue),
          Cell(noise?.renormalization.rawValue ?? basis?.scale.rawValue), Cell(rms),
          .integer(scores.count), Cell(model.baseline.accuracy), Cell(scores.accuracy),
          Cell(accuracy?.value), Cell(accuracy?.interval?.lowerBound),
          Cell(accuracy?.interval?.upperBound), Cell(change?.mcNemar), Cell(model.baseline.loss),
          Cell(scores.loss), Cell(loss?.value), Cell(loss?.interval?.lowerBound),
          Cell(loss?.interval?.upperBound),
          .text(!isEmpty ? own : own == "ok" ? "empty_ring" : own + ";empty_ring"),
        ])
      }
    }
    return table
  }

  /// A row a model and ring; nil where the gradient was not asked for.
  private var gradientTable: Table? {
    guard !study.gradientSides.isEmpty else { return nil }
    var table = Table(
      "robustness_gradient",
      columns: [
        .text("model"), .text("data"), .real("f_over_pi"), .integer("n_frequencies"),
        .real("share"), .real("share_lo"), .real("share_hi"), .real("share_over_white"),
        .real("gradient_rms"), .integer("n_images"), .text("status"),
      ])
    for (place, model) in models.enumerated() {
      let side = study.gradientSides[place]
      let mean = MeanGradientSpectrum(
        model.measures.last ?? [], GradientSpectrum(side: side))
      for ring in mean.rings {
        let own = model.status([model.baseline])
        table.append([
          .text(model.label), .text(data), .real(ring.frequency), .integer(ring.frequencies),
          Cell(ring.share), Cell(ring.interval?.lowerBound), Cell(ring.interval?.upperBound),
          Cell(ring.overWhite), Cell(mean.rootMeanSquare), .integer(mean.images),
          .text(
            own != "ok" || ring.share != nil ? own : mean.images == 0 ? "missing" : "nan_input"),
        ])
      }
    }
    return table
  }
}
