import Reports
import StrictJSON

/// The way of a training: its snapshots on their principal plane, over the loss of the last one there (Li et
/// al., NeurIPS 2018).
public struct TrajectoryStudy: EvaluationStudy {
  /// A snapshot.
  public struct Snapshot: Sendable, Codable, Hashable {
    /// What it is called.
    public let label: String
    /// The epoch that its file says it is of.
    public let epoch: Int?
    /// SHA-256 of its weights.
    public let sha256: String

    /// A snapshot.
    public init(label: String, epoch: Int? = nil, sha256: String) {
      (self.label, self.epoch, self.sha256) = (label, epoch, sha256)
    }
  }

  /// `trajectory`.
  public static let name = "trajectory"
  /// In the order of training.
  public let snapshots: [Snapshot]
  /// Inner products of the ways from the last snapshot to each, `[T, T]`.
  public let products: [Double]
  /// Values that the weights of a snapshot are, as far as they count.
  public let valueCount: Int
  /// The places where the loss is looked at.
  public let surface: LandscapeStudy

  /// A study of snapshots and of the loss on a grid of their plane.
  public init(
    _ snapshots: [Snapshot], products: [Double], valueCount: Int, surface: LandscapeStudy
  ) {
    (self.snapshots, self.products) = (snapshots, products)
    (self.valueCount, self.surface) = (valueCount, surface)
  }

  /// Places along an axis that hold all coordinates with a quarter of their span to spare on both sides, the
  /// origin exactly among them.
  public static func axis(over coordinates: [Double], count: Int) -> [Double] {
    let (low, high) = (min(0, coordinates.min() ?? 0), max(0, coordinates.max() ?? 0))
    let span = high > low ? high - low : 1
    // A step more than needed, since the origin moves all places by less than one.
    let step = 1.5 * span / Double(max(1, count - 2))
    let first = ((low - span / 4) / step).rounded(.down)
    return (0..<count).map { (first + Double($0)) * step }
  }

  /// The places.
  public func variants(of model: Int) -> [String] { surface.variants(of: model) }

  /// Snapshots and grid.
  public var settings: JSONValue {
    [
      "snapshots": .array(
        snapshots.map { ["label": .string($0.label), "weights_sha256": .string($0.sha256)] }),
      "values": .integer(valueCount), "surface": surface.settings,
    ]
  }

  /// At least two snapshots with products of each pair, and a grid.
  public func isValid(models: Int) -> Bool {
    models == 1 && (2...1 << 13).contains(snapshots.count) && valueCount > 0
      && products.count == snapshots.count * snapshots.count && products.allSatisfy(\.isFinite)
      && surface.direction == .trajectory && surface.isValid(models: models)
  }

  /// The way, over the surface.
  public static func report(on results: StudyResults<Self>) throws -> Report {
    try TrajectoryReport(results).report
  }
}
