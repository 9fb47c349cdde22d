import Reports
import StrictJSON

/// Loss and accuracy over a line or a plane of weights (Li et al., NeurIPS 2018).
public struct LandscapeStudy: EvaluationStudy {
  /// What a direction is made of.
  public enum Direction: String, Sendable, Codable, CaseIterable {
    /// Normal numbers, each filter (what feeds one output) scaled to the norm of the network's own: Li et al.
    case li
    /// Normal numbers scaled position by position across filters, as the code of Park and Kim (2022) has it.
    case hdvw
    /// Normal numbers, each tensor scaled to the norm of the network's own.
    case layer
    /// Normal numbers.
    case none
    /// The eigenvectors of the largest eigenvalues, by magnitude, of the Hessian of the loss on the same images;
    /// of length 1.
    case hessian
    /// The way to other checkpoints.
    case checkpoint
    /// The principal directions of a training's snapshots.
    case trajectory

    /// Whether it is drawn from a seed.
    public var isRandom: Bool { [.li, .hdvw, .layer, .none].contains(self) }
  }

  /// What becomes of the running statistics of batch normalisation.
  public enum Statistics: String, Sendable, Codable, CaseIterable {
    /// They are the network's own everywhere.
    case fixed
    /// They move like weights, on the way to a checkpoint.
    case interpolate
    /// They are estimated anew at each place, on the first minibatches.
    case recompute
  }

  /// Another checkpoint at the end of an axis.
  public struct Target: Sendable, Codable, Hashable {
    /// What it is called.
    public let label: String
    /// SHA-256 of its weights.
    public let sha256: String

    /// A checkpoint.
    public init(label: String, sha256: String) { (self.label, self.sha256) = (label, sha256) }
  }

  /// A place on the line or plane.
  public struct Place: Sendable, Codable, Hashable {
    /// Steps along the first direction.
    public let x: Double
    /// Steps along the second; 0 on a line.
    public let y: Double
  }

  /// `landscape`.
  public static let name = "landscape"
  /// What directions are made of.
  public let direction: Direction
  /// Places along each axis, in increasing order: one axis for a line, two for a plane.
  public let axes: [[Double]]
  /// The checkpoints that the axes lead to; none for random directions.
  public let targets: [Target]
  /// Seed of random directions.
  public let seed: UInt64
  /// Globs on the names of the tensors that move.
  public let parameters: [String]
  /// Tensors that move, of each model.
  public let moving: [Int]
  /// What becomes of running statistics.
  public let statistics: Statistics

  /// A study of the grid that the axes span.
  public init(
    _ direction: Direction, axes: [[Double]], targets: [Target] = [], seed: UInt64 = 0,
    parameters: [String] = [], moving: [Int], statistics: Statistics = .fixed
  ) {
    (self.direction, self.axes, self.targets) = (direction, axes, targets)
    (self.seed, self.parameters, self.moving) = (seed, parameters, moving)
    self.statistics = statistics
  }

  /// Whether it is a plane; else a line.
  public var isPlane: Bool { axes.count > 1 }

  /// Row by row, from the lowest y.
  public var places: [Place] {
    (0..<axes.reduce(1) { $0 * $1.count }).map(place)
  }

  /// One of them.
  public func place(_ index: Int) -> Place {
    let columns = axes[0].count
    return Place(x: axes[0][index % columns], y: isPlane ? axes[1][index / columns] : 0)
  }

  /// A place in weight space as sums of weights have it: the network's own weights times the first
  /// number, and each direction or checkpoint times its own.
  public func coefficients(_ place: Place) -> [Double] {
    let along = isPlane ? [place.x, place.y] : [place.x]
    return [direction == .checkpoint ? 1 - along.reduce(0, +) : 1] + along
  }

  /// Evenly spaced places, both ends among them; those next to 0 and 1 are exactly there.
  public static func axis(_ range: ClosedRange<Double>, count: Int) -> [Double] {
    let (last, length) = (Double(max(1, count - 1)), range.upperBound - range.lowerBound)
    return (0..<count).map { index in
      // Weighted ends keep decimals short and opposite places opposite.
      let at =
        (range.lowerBound * (last - Double(index)) + range.upperBound * Double(index)) / last
      return [0, 1].first { abs(at - $0) < 1e-9 * max(1, length) } ?? at
    }
  }

  /// The places.
  public func variants(of model: Int) -> [String] { places.map { "x=\($0.x),y=\($0.y)" } }

  /// Along eigenvectors, the eigenvalues.
  public func measureCount(of model: Int, variant: Int?) -> Int {
    direction == .hessian && variant != nil ? axes.count : 0
  }

  /// Directions and grid.
  public var settings: JSONValue {
    [
      "norm": .string(direction.rawValue), "seed": .integer(Int(truncatingIfNeeded: seed)),
      "axes": .array(axes.map { .array($0.map(JSONValue.real)) }),
      "params": .array(parameters.map(JSONValue.string)),
      "moving_tensors": .array(moving.map(JSONValue.integer)),
      "batchnorm": .string(statistics.rawValue),
      "to": .array(
        targets.map { ["label": .string($0.label), "weights_sha256": .string($0.sha256)] }),
    ]
  }

  /// A grid of finite places.
  public func isValid(models: Int) -> Bool {
    (1...2).contains(axes.count) && moving.count == models
      && axes.reduce(1, { $0.multipliedReportingOverflow(by: $1.count).partialValue }) <= 1 << 20
      && (direction == .checkpoint ? targets.count == axes.count : targets.isEmpty)
      && axes.allSatisfy { axis in
        (1...1 << 12).contains(axis.count) && axis.allSatisfy(\.isFinite)
          && zip(axis, axis.dropFirst()).allSatisfy { $0 < $1 }
      }
  }

  /// The surface.
  public static func report(on results: StudyResults<Self>) throws -> Report {
    try results.report
  }
}
