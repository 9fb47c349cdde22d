import Reports
import Tensors

/// Reduces the records of all minibatches to estimates with errors, a table and figures.
struct AttentionReport {
  private let settings: AttentionSettings
  private let plan: Plan
  private let images: Int
  private let subjects: [AttentionResults]

  init(_ records: [AttentionAnalyzer.Record], settings: AttentionSettings, plan: Plan) {
    self.settings = settings
    self.plan = plan
    images = records.reduce(0) { $0 + $1.images }
    subjects = zip(plan.subjects, plan.byLayer(records, \.layers)).map { subject, records in
      let layers = AttentionLayer.layers(of: subject, settings: settings)
      return AttentionResults(
        subject: subject,
        layers: zip(layers, records).map { layer, own in
          let all = layer.cells.indices.map { AttentionEstimate($0, of: layer, own) }
          return AttentionResults.Layer(
            layer: layer, estimates: all.filter { !$0.statistic.isOffset },
            offsets: all.filter(\.statistic.isOffset),
            zeroTokens: own.reduce(0) { $0 + $1.zeroTokens })
        })
    }
  }

  var report: Report {
    get throws {
      let tables = [table] + [AttentionOffsets(subjects, plan: plan).table].compactMap(\.self)
      let source = FigureSource(
        tables, settings: settings.json, plan: plan)
      return Report(
        tables: tables,
        figures: try AttentionFigures(source).all + AttentionOffsetFigures(source).all,
        summary: summary, notes: notes, networks: source.networks)
    }
  }

  // MARK: Tables

  private var table: Table {
    var table = Table(
      "attention",
      columns: LayerPosition.keyColumns + [
        .integer("head_index"), .text("statistic"), .integer("n_images"), .real("value"),
        .real("se"),
        .text("status"),
      ])
    for results in subjects {
      for (index, layer) in results.layers.enumerated() {
        for estimate in layer.estimates {
          table.append(
            results.subject.keys(index, on: plan.data) + [
              Cell(estimate.head), .text(estimate.statistic.rawValue), .integer(estimate.images),
              Cell(estimate.value), Cell(estimate.error), .text(estimate.status.rawValue),
            ])
        }
      }
    }
    return table
  }

  private var summary: Table {
    var table = Table(
      "attention",
      columns: [
        .text("model"), .integer("maps"), .real("tokens_first"), .real("tokens_last"),
        .real("heads"), .real("layers"), .real("distance_px"), .real("entropy"), .real("nmi"),
        .real("rank"),
      ])
    for results in subjects {
      let tokens = results.values(of: .tokenSimilarity, series: "")
      func mean(_ statistic: AttentionStatistic) -> Cell {
        guard let series = results.series.last else { return .empty }
        let values = results.values(of: statistic, series: series).compactMap(\.self)
        return values.isEmpty ? .empty : Cell(values.reduce(0, +) / Double(values.count))
      }
      table.append([
        .text(results.subject.label), .integer(results.mapCount),
        Cell(tokens.first ?? nil), Cell(tokens.last ?? nil),
        mean(.headSimilarity), mean(.layerSimilarity), mean(.distance), mean(.entropy),
        mean(.mutualInformation), mean(.effectiveRank),
      ])
    }
    return table
  }

  // MARK: Notes

  private var notes: [String] {
    var notes = [
      "tokens_first, tokens_last: the mean cosine of two patches' features; heads, layers: the mean "
        + "cosine of attention maps; all but tokens are means over layers"
    ]
    if images == 1 { notes.append("one image: no standard errors (they are over images)") }
    if settings.rankImages > 0, subjects.contains(where: { $0.mapCount > 0 }) {
      notes.append(
        "effective rank: of the first \(settings.rankImages) image(s) of each minibatch")
    }
    for results in subjects {
      let label = results.subject.label
      if results.mapCount == 0 {
        notes.append("\(label) has no attention maps; the similarity of its places alone is told")
      }
      let windows = results.layers.contains {
        if case .maps(let grid) = $0.layer.content { grid.windows > 1 } else { false }
      }
      if windows {
        notes.append(
          "\(label) attends in windows: distances are inside a window, and successive layers are "
            + "compared window by window, shifted or not")
      }
      let zeros = results.layers.reduce(0) { $0 + $1.zeroTokens }
      if zeros > 0 {
        notes.append(
          "\(label): \(zeros) token(s) of length zero have no direction and are left out")
      }
      note(.magnitudes, "weights below zero, whose magnitudes are taken,", results, &notes)
      note(.nonfinite, "values that are not finite", results, &notes)
      note(.undefinedGrid, "values that are not of the stated grid", results, &notes)
      note(.degenerate, "statistics that no image has", results, &notes)
      note(
        .noPlace, "queries without a place: no distance, and ways from the middle of the image,",
        results, &notes)
      note(.noImageSize, "distances without the size of images in pixels", results, &notes)
      let partial = results.layers.flatMap(\.estimates).filter {
        $0.undefined > 0 && $0.value != nil && $0.statistic != .effectiveRank
      }
      if let first = partial.first {
        notes.append(
          "\(label): \(partial.count) number(s) lack images that have none, such as maps of zeros; "
            + "the first is \(first.statistic.rawValue), of \(first.images) images")
      }
    }
    return notes
  }

  private func note(
    _ status: AttentionEstimate.Status, _ what: String, _ results: AttentionResults,
    _ notes: inout [String]
  ) {
    let indices = results.layers.indices.filter { index in
      results.layers[index].estimates.contains { $0.status == status }
    }
    guard let first = indices.first else { return }
    notes.append(
      "\(results.subject.label): \(what) in \(indices.count) layer(s), the first "
        + "\(results.subject.taps[first].tap.name)")
  }
}
