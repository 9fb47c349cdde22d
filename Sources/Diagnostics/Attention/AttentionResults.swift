import Tensors

/// What came of one subject.
struct AttentionResults {
  struct Layer {
    let layer: AttentionLayer
    let estimates: [AttentionEstimate]
    /// Where heads look.
    let offsets: [AttentionEstimate]
    let zeroTokens: Int
  }

  let subject: SubjectPlan
  let layers: [Layer]

  /// Layers with attention maps.
  var mapCount: Int { subject.taps.count { !$0.tap.isTokens } }

  /// The kinds of maps, in the order of the pass; what the last block attends by comes last.
  var series: [String] {
    var found: [String] = []
    for (layer, planned) in zip(layers, subject.taps) where !planned.tap.isTokens {
      found.removeAll { $0 == layer.layer.series }
      found.append(layer.layer.series)
    }
    return found
  }

  /// A statistic over depth: of whole layers, or of one head.
  func values(
    of statistic: AttentionStatistic, series: String, head: Int? = nil
  ) -> [(name: String, depth: Double, estimate: AttentionEstimate)] {
    zip(layers, subject.taps).compactMap { layer, planned in
      guard layer.layer.series == series,
        planned.tap.isTokens == (statistic == .tokenSimilarity),
        let estimate = layer.estimates.first(where: {
          $0.statistic == statistic && $0.head == head
        })
      else { return nil }
      return (planned.tap.name, layer.layer.depth, estimate)
    }
  }

  /// The most heads of a layer.
  var heads: Int {
    layers.reduce(0) { most, layer in
      if case .maps(let grid) = layer.layer.content { max(most, grid.heads) } else { most }
    }
  }
}
