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

  /// The values of a statistic of whole layers, in their order.
  func values(of statistic: AttentionStatistic, series: String) -> [Double?] {
    zip(layers, subject.taps).compactMap { layer, planned in
      guard layer.layer.series == series,
        planned.tap.isTokens == (statistic == .tokenSimilarity)
      else { return nil }
      return layer.estimates.first { $0.statistic == statistic && $0.head == nil }?.value
    }
  }
}
