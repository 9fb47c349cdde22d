import Reports
import Tensors

/// The build-up rule of AlterNet (Park and Kim, ICLR 2022) as a table: which convolution a self-attention would
/// best stand in for. It smooths maps, so it belongs where they vary most and hold most of high frequencies, and
/// where little is lost with the convolution.
extension StudyResults<LesionStudy> {
  private struct Row {
    let lesion: LesionStudy.Lesion
    let isStageEnd: Bool
    let variance: Double?
    let cost: Double?
    let frequency: Double?
    var ranks: [Int] = []

    var mean: Double? {
      ranks.isEmpty ? nil : Double(ranks.reduce(0, +)) / Double(ranks.count)
    }
  }

  /// A row a branch, the best to replace first; branches that are no convolutions have no rank and come last.
  var buildUpTable: Table {
    var table = Table(
      "lesion_build_up",
      columns: [
        .text("model"), .text("data"), .integer("rank"), .integer("layer_index"),
        .text("layer_name"), .text("kind"), .integer("stage"), .text("stage_end"),
        .real("variance"), .real("lesion_cost_pp"), .real("high_frequency"),
        .integer("rank_variance"), .integer("rank_cost"), .integer("rank_frequency"),
        .real("mean_rank"), .integer("n_images"), .text("status"),
      ])
    for (place, model) in models.enumerated() {
      var next = 0
      for row in ranked(place, model) {
        if row.mean != nil { next += 1 }
        func rank(_ measure: Int) -> Cell {
          Cell(row.ranks.indices.contains(measure) ? row.ranks[measure] : nil)
        }
        let own = model.status([model.baseline])
        let isKnown = row.variance != nil && row.cost != nil && row.frequency != nil
        table.append([
          .text(model.label), .text(data), row.mean == nil ? .empty : .integer(next),
          .integer(row.lesion.index), .text(row.lesion.branch.name),
          .text(row.lesion.branch.kind.rawValue), Cell(row.lesion.branch.stage),
          .text("\(row.isStageEnd)"), Cell(row.variance), Cell(row.cost), Cell(row.frequency),
          rank(0), rank(1), rank(2), Cell(row.mean), .integer(model.baseline.count),
          .text(own == "ok" && !isKnown ? "undefined_grid" : own),
        ])
      }
    }
    return table
  }

  private func ranked(_ place: Int, _ model: EvaluatedModel) -> [Row] {
    let measures = model.measures.first ?? []
    let images = measures.reduce(0) { $0 + $1[0] }
    func mean(_ index: Int) -> Double? {
      let sum = measures.reduce(0) { $0 + $1[index] }
      return images > 0 && sum.isFinite ? sum / images : nil
    }
    let all = study.lesions[place]
    let branches = all.indices.filter { all[$0].head == nil }
    var rows = branches.enumerated().map { order, index -> Row in
      let following = order + 1 < branches.count ? all[branches[order + 1]] : nil
      let change = PairedDifference(model.variants[index])
      return Row(
        lesion: all[index],
        isStageEnd: following.map { $0.branch.stage != all[index].branch.stage } ?? true,
        variance: mean(1 + 2 * order), cost: change.map { 0 - $0.accuracy.value },
        frequency: mean(2 + 2 * order))
    }
    let candidates = rows.indices.filter {
      rows[$0].lesion.branch.kind == .conv && rows[$0].variance != nil && rows[$0].cost != nil
        && rows[$0].frequency != nil
    }
    // The deeper first where two are equal: the rule starts at the end.
    for measure: (Row) -> Double in [
      { 0 - ($0.variance ?? 0) }, { $0.cost ?? 0 }, { 0 - ($0.frequency ?? 0) },
    ] {
      let order = candidates.sorted { (measure(rows[$0]), $1) < (measure(rows[$1]), $0) }
      for (rank, index) in order.enumerated() { rows[index].ranks.append(rank + 1) }
    }
    return rows.enumerated().sorted { a, b in
      switch (a.element.mean, b.element.mean) {
      case (let x?, let y?): (x, b.offset) < (y, a.offset)
      case (nil, nil): a.offset < b.offset
      case (let x, _): x != nil
      }
    }.map(\.element)
  }
}
