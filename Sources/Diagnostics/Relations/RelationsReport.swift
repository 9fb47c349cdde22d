import Reports
import Tensors

/// Reduces the records of all minibatches to a row a layer and to figures.
struct RelationsReport {
  /// A measure over all images.
  struct Estimate {
    let value: Double?
    /// The standard error over images.
    let error: Double?
  }

  /// One layer of a subject.
  struct Row {
    let layer: RelationsLayer?
    let images: Int
    let estimates: [Estimate]
    /// Why there are no measures at all, or none of reach and of places, or `ok`.
    let status: String
    /// Why there is no dynamic share, no share over channels, no rank.
    let dynamicStatus: String
    let channelsStatus: String
    let rankStatus: String

    subscript(_ measure: RelationMeasure) -> Estimate { estimates[measure.rawValue] }
  }

  private let settings: RelationsSettings
  private let plan: Plan
  private let images: Int
  private let rows: [[Row]]

  init(_ records: [RelationsAnalyzer.Record], settings: RelationsSettings, plan: Plan) {
    self.settings = settings
    self.plan = plan
    images = records.reduce(0) { $0 + $1.images }
    rows = zip(plan.subjects, plan.byLayer(records, \.layers)).map { subject, records in
      zip(subject.taps, records).map { Self.row(RelationsLayer($0), $1, settings) }
    }
  }

  private static func row(
    _ layer: RelationsLayer?, _ records: [RelationsAnalyzer.Record.Layer],
    _ settings: RelationsSettings
  ) -> Row {
    var moments = RelationMeasure.allCases.map { _ in AttentionMoments() }
    let isFinite = records.allSatisfy(\.isFinite)
    if isFinite {
      for record in records {
        for (index, part) in record.moments.enumerated() where moments.indices.contains(index) {
          moments[index].add(part)
        }
      }
    }
    func has(_ measure: RelationMeasure) -> Bool { moments[measure.rawValue].count > 0 }
    let hasPlaces = layer?.grid.hasQueryPlaces ?? true
    // What every image has that has any weight.
    let counted = hasPlaces ? RelationMeasure.outside3 : .heads
    let failure =
      layer == nil
      ? "undefined_grid" : !isFinite ? "nan_input" : has(counted) ? nil : "degenerate"
    let status = failure ?? (hasPlaces ? "ok" : "no_place")
    let isDense = layer?.isDense ?? false
    func reason(_ measure: RelationMeasure, _ reason: String) -> String {
      failure ?? (has(measure) ? "ok" : reason)
    }
    return Row(
      layer: layer, images: moments[counted.rawValue].count,
      estimates: moments.map { moments in
        Estimate(
          value: moments.count > 0 ? moments.mean : nil,
          error: moments.count > 0 ? moments.standardError : nil)
      }, status: status, dynamicStatus: reason(.images, "one_image"),
      channelsStatus: reason(.heads, isDense ? "dense" : "degenerate"),
      rankStatus: reason(
        .rank,
        isDense
          ? "dense"
          : settings.rankImages == 0
            ? "not_taken"
            : layer?.hasRank != false
              ? "degenerate" : layer?.grid.isOneRow == true ? "one_query" : "too_large"))
  }

  var report: Report {
    get throws {
      let table = table
      let source = FigureSource(
        [table], settings: settings.json, plan: plan)
      return Report(
        tables: [table], figures: try RelationsFigures(source).all, summary: summary, notes: notes,
        networks: source.networks)
    }
  }

  // MARK: Tables

  private var table: Table {
    let measures = RelationMeasure.allCases.flatMap {
      [Column.real($0.column), .real("\($0.column)_se")]
    }
    var table = Table(
      "relations",
      columns: LayerPosition.keyColumns + [
        .text("support"), .integer("support_height"), .integer("support_width"),
        .integer("keys"), .text("made_of"), .text("connectivity"), .integer("channels"),
        .integer("heads"), .text("shared_places"), .integer("rank_bound"), .integer("parameters"),
        .integer("multiply_adds"), .integer("n_images"),
      ] + measures + [
        .text("status"), .text("dynamic_status"), .text("channels_status"), .text("rank_status"),
      ])
    for (subject, rows) in zip(plan.subjects, rows) {
      for (index, row) in rows.enumerated() {
        table.append(
          subject.keys(index, on: plan.data) + declared(row.layer) + [.integer(row.images)]
            + row.estimates.flatMap { [Cell($0.value), Cell($0.error)] }
            + [row.status, row.dynamicStatus, row.channelsStatus, row.rankStatus].map(Cell.text))
      }
    }
    return table
  }

  /// What a layer says of itself.
  private func declared(_ layer: RelationsLayer?) -> [Cell] {
    guard let layer else { return Array(repeating: .empty, count: 12) }
    let (grid, connections) = (layer.grid, layer.connections)
    let extents: (height: Int, width: Int)
    var isShared = false
    switch connections.support {
    case .tokens, .windows, .cells, .pooling:
      extents = (connections.height, connections.width)
    case .taps(let window):
      extents = window.kernel
      isShared = grid.queries == 1
    }
    let declared = connections.declared
    return [
      .text(layer.supportName), .integer(extents.height), .integer(extents.width),
      .integer(grid.choices), Cell(declared?.source.rawValue),
      Cell(declared.map { $0.isDense ? "dense" : "channelwise" }), Cell(declared?.channels),
      .integer(grid.heads), .text(isShared ? "yes" : "no"), .integer(layer.rankBound),
      Cell(declared?.parameters), Cell(declared?.multiplyAdds),
    ]
  }

  private var summary: Table {
    let shown: [RelationMeasure] = [.outside3, .outside7, .images, .places, .heads, .rank]
    var table = Table(
      "relations",
      columns: [.text("model"), .integer("layers")] + shown.map { .real($0.column) })
    for (subject, rows) in zip(plan.subjects, rows) {
      table.append(
        [.text(subject.label), .integer(rows.count)]
          + shown.map { measure in
            let values = rows.compactMap { $0[measure].value }
            return values.isEmpty ? .empty : Cell(values.reduce(0, +) / Double(values.count))
          })
    }
    return table
  }

  // MARK: Notes

  private var notes: [String] {
    var notes = [
      "means over the layers that mix places; outside_K: the share of weight outside K x K places; dynamic, "
        + "over_places, over_channels: the share of the mean square weight that varies over images, places, heads"
    ]
    if images == 1 { notes.append("one image: no standard errors (they are over images)") }
    for (subject, rows) in zip(plan.subjects, rows) {
      func note(_ what: String, _ isMeant: (Row) -> Bool) {
        let places = rows.indices.filter { isMeant(rows[$0]) }
        guard let first = places.first else { return }
        notes.append(
          "\(subject.label): \(what) in \(places.count) layer(s), the first "
            + subject.taps[first].tap.name)
      }
      note("values that are not of the stated grid") { $0.status == "undefined_grid" }
      note("values that are not finite") { $0.status == "nan_input" }
      note("weights that are all zero") { $0.status == "degenerate" }
      note("no dynamic share, for want of a minibatch of two images,") {
        $0.dynamicStatus == "one_image"
      }
      note("weights for each pair of channels, whose magnitudes over inputs are measured,") {
        $0.layer?.isDense ?? false
      }
      note("too many places for a rank") { $0.rankStatus == "too_large" }
      note("queries without a place, so no reach and no share over places,") {
        $0.status == "no_place"
      }
    }
    return notes
  }
}

extension RelationsLayer {
  /// Which places a query reads, in a word.
  var supportName: String {
    switch connections.support {
    case .tokens: grid.windows > 1 ? "windows" : "global"
    case .windows: overlaps ? "overlapping_windows" : "windows"
    case .cells: "cells"
    case .taps: "local"
    case .pooling: "pooling"
    }
  }
}
