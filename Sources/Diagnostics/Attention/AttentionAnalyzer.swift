import Reports
import StrictJSON
import Tensors

/// Attention maps and what they do to tokens, along depth: how alike tokens become (over-smoothing),
/// how alike heads and successive layers are, how far, where and how evenly heads attend. The kernels of local
/// layers are rows of such maps, zero outside of their windows; groups of channels are heads.
///
/// Softmax maps and refined ones (Zhou et al., "Refiner: refining self-attention for vision
/// transformers", 2021) are layers of their own. Models without maps have the similarity of tokens
/// alone. ``AttentionSettings`` says what can be chosen.
public struct AttentionAnalyzer: Analyzer {
  /// What one minibatch contributes.
  public struct Record: Codable, Sendable {
    /// Images in the minibatch.
    public let images: Int
    /// One entry for each tap of each subject, in order.
    let layers: [Layer]

    /// What one layer contributes.
    struct Layer: Codable, Sendable {
      /// Whether all values were finite; the moments are empty otherwise.
      var isFinite = true
      /// Whether a map had weights below zero: their magnitudes were taken then.
      var hasNegativeWeights = false
      /// Tokens of length zero, which have no direction and were left out.
      var zeroTokens = 0
      /// One entry for each value of the layer, in order.
      var cells: [AttentionMoments] = []
    }
  }

  /// `attention`.
  public static let name = "attention"
  /// Whole blocks, and every attention map.
  public static let defaultOrdering = TapOrdering.blocks
  /// The settings.
  public let configuration: AttentionSettings

  /// An analyzer with the given settings.
  public init(_ configuration: AttentionSettings = AttentionSettings()) {
    self.configuration = configuration
  }

  /// The settings as JSON.
  public var settings: JSONValue { configuration.json }

  /// Connection weights but those that join all channels, tokens of a grid, and feature maps.
  public func accepts(_ tap: Tap) -> Bool {
    switch tap.layout {
    case .connections(let connections): !(connections.declared?.isDense ?? false)
    case .tokens, .featureMap: tap.kind != .logits
    case .vector, .unknown: false
    }
  }

  /// Attention maps have no place in the orderings; they are looked at with any of them.
  public func isOfEveryOrdering(_ tap: Tap) -> Bool { !tap.isTokens }

  /// The maps of the layer before are kept to be compared with; at most one of each series.
  public func keptBytes(_ plan: Plan, images: Int) -> Int {
    plan.subjects.map { subject in
      var largest: [String: Int] = [:]
      let layers = AttentionLayer.layers(of: subject, settings: configuration)
      for case (let layer, .maps(let grid)) in layers.map({ ($0, $0.content) }) {
        largest[layer.series] = max(largest[layer.series] ?? 0, grid.stride)
      }
      return largest.values.reduce(0, +) * images * MemoryLayout<Float>.size
    }.max() ?? 0
  }

  /// Starts on a minibatch.
  public func begin(_ batch: BatchIdentity, plan: Plan) -> any BatchObserver<Record> {
    AttentionObserver(configuration, plan: plan)
  }

  /// One entry a tap, with moments of no more images than the minibatch has.
  public func isValid(_ record: Record, plan: Plan) -> Bool {
    plan.canHold(record.images) && record.layers.count == plan.tapCount
      && zip(record.layers, layers(of: plan)).allSatisfy { layer, planned in
        (0...1 << 40).contains(layer.zeroTokens)
          && (layer.cells.isEmpty || layer.cells.count == planned.cells.count)
          && layer.cells.allSatisfy { $0.isValid(images: record.images) }
      }
  }

  private func layers(of plan: Plan) -> [AttentionLayer] {
    plan.subjects.flatMap { AttentionLayer.layers(of: $0, settings: configuration) }
  }

  /// All statistics along depth: a table, and a figure for each.
  public func report(_ records: [Record], plan: Plan) throws -> Report {
    try AttentionReport(records, settings: configuration, plan: plan).report
  }
}
