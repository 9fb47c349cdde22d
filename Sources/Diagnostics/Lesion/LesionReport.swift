import Reports
import Tensors

/// The tables of lesions.
extension StudyResults<LesionStudy> {
  var report: Report {
    get throws {
      let table = table
      let buildUp = study.ranksBuildUp ? buildUpTable : nil
      let source = FigureSource([table], settings: study.settings, networks: networks)
      return Report(
        tables: [table] + (buildUp.map { [$0] } ?? []), figures: try LesionFigures(source).all,
        summary: buildUp
          ?? table.selecting([
            "model", "layer_name", "head_index", "n_images", "acc", "delta_acc_pp", "ci_lo",
            "ci_hi", "nll", "delta_nll", "cka_last", "status",
          ]), networks: source.networks)
    }
  }

  /// The models, with the places of their branches.
  private var networks: [NetworkOutline] {
    zip(models, study.lesions).map { model, lesions in
      let branches = lesions.reduce(into: [NetworkOutline.Layer]()) { branches, lesion in
        guard branches.last?.name != lesion.branch.name else { return }
        branches.append(
          .init(lesion.branch.name, stage: lesion.branch.stage, branch: lesion.index))
      }
      return NetworkOutline(label: model.label, family: model.family, layers: branches)
    }
  }

  /// The network as it is first, then each lesion.
  private var table: Table {
    var table = Table(
      "lesion",
      columns: LayerPosition.keyColumns + [
        .integer("stage"), .integer("head_index"), .text("by"),
        .integer("n_images"), .real("acc"), .real("delta_acc_pp"), .real("ci_lo"), .real("ci_hi"),
        .real("nll"), .real("delta_nll"), .real("nll_ci_lo"), .real("nll_ci_hi"),
        .real("cka_last"), .real("cka_lo"), .real("cka_hi"), .text("status"),
      ])
    for (model, lesions) in zip(models, study.lesions) {
      table.append([
        .text(model.label), .text(data), .empty, "none", .empty, .empty, .empty, .empty, .empty,
        .empty, "none",
        .integer(model.baseline.count), Cell(model.baseline.accuracy), .empty, .empty, .empty,
        Cell(model.baseline.loss), .empty, .empty, .empty, .empty, .empty, .empty,
        .text(model.status([model.baseline])),
      ])
      for (place, (lesion, scores)) in zip(lesions, model.variants).enumerated() {
        let measures = model.measures.indices.contains(place + 1) ? model.measures[place + 1] : []
        let similarity = measures.isEmpty ? nil : CentredGram.similarity(measures)
        let change = PairedDifference(scores)
        let (accuracy, loss) = (change?.accuracy, change?.loss)
        let keys = LayerPosition.keys(
          of: lesion.branch, at: lesion.position, in: model.label, on: data)
        table.append(
          keys + [
            Cell(lesion.branch.stage), Cell(lesion.head), .text(study.replacement.rawValue),
            .integer(scores.count),
            Cell(scores.accuracy), Cell(accuracy?.value), Cell(accuracy?.interval?.lowerBound),
            Cell(accuracy?.interval?.upperBound), Cell(scores.loss), Cell(loss?.value),
            Cell(loss?.interval?.lowerBound), Cell(loss?.interval?.upperBound),
            Cell(similarity?.value), Cell(similarity?.low), Cell(similarity?.high),
            .text(model.status([model.baseline, scores])),
          ])
      }
    }
    return table
  }
}
