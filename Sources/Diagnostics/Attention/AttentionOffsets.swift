import Reports
import Tensors

/// Where heads look: of each, the mean way from a query to what it reads and the covariance around it
/// (Cordonnier et al., ICLR 2020), as a table.
struct AttentionOffsets {
  static let statistics: [AttentionStatistic] = [
    .offsetX, .offsetY, .covarianceXX, .covarianceXY, .covarianceYY,
  ]
  private let plan: Plan
  private let subjects: [AttentionResults]

  init(_ subjects: [AttentionResults], plan: Plan) {
    (self.subjects, self.plan) = (subjects, plan)
  }

  /// A row a head; nil if no subject has weights to look at.
  var table: Table? {
    var table = Table(
      "attention_offsets",
      columns: LayerPosition.keyColumns + [.integer("head_index"), .integer("n_images")]
        + Self.statistics.flatMap {
          [Column.real($0.rawValue), .real("\($0.rawValue)_se")]
        } + [.text("status")])
    for results in subjects {
      for (index, layer) in results.layers.enumerated() {
        for head in heads(of: layer) {
          table.append(
            results.subject.keys(index, on: plan.data)
              + [.integer(head.number), .integer(head.images)]
              + head.estimates.flatMap { [Cell($0.value), Cell($0.error)] }
              + [.text(head.status)])
        }
      }
    }
    return table.rows.isEmpty ? nil : table
  }

  /// One head of a layer.
  private struct Head {
    let number: Int
    let estimates: [AttentionEstimate]

    var images: Int { estimates.first?.images ?? 0 }
    var status: String { estimates.first?.status.rawValue ?? "" }
  }

  private func heads(of layer: AttentionResults.Layer) -> [Head] {
    var found: [Int: [AttentionEstimate]] = [:]
    var order: [Int] = []
    for estimate in layer.offsets {
      guard let head = estimate.head else { continue }
      if found[head] == nil { order.append(head) }
      found[head, default: []].append(estimate)
    }
    return order.map { Head(number: $0, estimates: found[$0] ?? []) }
  }
}
