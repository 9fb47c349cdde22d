import Reports
import StrictJSON
import Tensors

/// What each layer that mixes places declares of its connections, beside what its weights are on images: how much
/// lies outside of small windows, how much of them is of the image, of the place and of the head, and how many
/// independent rows they have (after Han et al., "On the connection between local attention and dynamic
/// depth-wise convolution", ICLR 2022).
public struct RelationsAnalyzer: Analyzer {
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
      /// One entry for each measure, in the order of ``RelationMeasure``.
      var moments: [AttentionMoments] = []
    }
  }

  /// `relations`.
  public static let name = "relations"
  /// Connection weights stand in no ordering.
  public static let defaultOrdering = TapOrdering.all
  /// The settings.
  public let configuration: RelationsSettings

  /// An analyzer with the given settings.
  public init(_ configuration: RelationsSettings = RelationsSettings()) {
    self.configuration = configuration
  }

  /// The settings as JSON.
  public var settings: JSONValue { configuration.json }

  /// The weights by which places are mixed.
  public func accepts(_ tap: Tap) -> Bool { tap.connections != nil }

  /// They go with every ordering.
  public func isOfEveryOrdering(_ tap: Tap) -> Bool { true }

  /// Starts on a minibatch.
  public func begin(_ batch: BatchIdentity, plan: Plan) -> any BatchObserver<Record> {
    RelationsObserver(configuration, plan: plan)
  }

  /// One entry a tap, with moments of no more images than the minibatch has.
  public func isValid(_ record: Record, plan: Plan) -> Bool {
    plan.canHold(record.images) && record.layers.count == plan.tapCount
      && record.layers.allSatisfy { layer in
        (layer.moments.isEmpty || layer.moments.count == RelationMeasure.allCases.count)
          && layer.moments.allSatisfy { $0.isValid(images: record.images) }
      }
  }

  /// A row a layer, the map of operations, and the measures over depth.
  public func report(_ records: [Record], plan: Plan) throws -> Report {
    try RelationsReport(records, settings: configuration, plan: plan).report
  }
}
