import Reports
import StrictJSON
import Tensors

/// Relative log amplitudes of Fourier-transformed feature maps.
///
/// The definition of Park & Kim, "How do vision transformers work?" (ICLR 2022), in their notebook
/// `fourier_analysis.ipynb`: the natural logarithm of `|F| + 1e-6`, F the unnormalised transform of a
/// map, averaged over images and channels, on the diagonal of the plane from frequency 0, relative to
/// frequency 0. Tokens that are not patches are left out.
public struct FourierAnalyzer: Analyzer {
  /// What one minibatch contributes.
  public struct Record: Codable, Sendable {
    /// Images in the minibatch.
    public let images: Int
    /// One entry for each tap of each subject, in order.
    public let taps: [Sums]

    /// Sums over images of the point `x_k` of an image on the curve: the mean over its channels of
    /// the log amplitude in bin k (of the power, for that variant).
    public struct Sums: Codable, Sendable {
      /// Whether all values were finite; the sums are empty otherwise.
      public var isFinite = true
      /// Maps whose sum is next to nothing.
      public var dead = 0
      /// `Σ x_k`.
      public var values: [Double] = []
      /// `Σ (x_k - x̄_k)²`, about the mean over the minibatch.
      public var deviations: [Double] = []
      /// `Σ (x_k - x̄_k)(x_0 - x̄_0)`.
      public var codeviations: [Double] = []
    }
  }

  /// `fourier`.
  public static let name = "fourier"
  /// Residual half-blocks.
  public static let defaultOrdering = TapOrdering.sequence
  /// The settings.
  public let configuration: FourierSettings

  /// An analyzer with the given settings.
  public init(_ configuration: FourierSettings = FourierSettings()) {
    self.configuration = configuration
  }

  /// The settings as JSON.
  public var settings: JSONValue { configuration.json }

  /// Tokens of a grid, and maps.
  public func accepts(_ tap: Tap) -> Bool { tap.holdsFeatureMaps }

  /// Starts on a minibatch.
  public func begin(_ batch: BatchIdentity, plan: Plan) -> any BatchObserver<Record> {
    FourierObserver(configuration, plan: plan)
  }

  /// One entry a tap; the numbers of points are compared with the tap's when they are added up.
  public func isValid(_ record: Record, plan: Plan) -> Bool {
    plan.canHold(record.images) && record.taps.count == plan.tapCount
      && record.taps.allSatisfy { sums in
        (0...1 << 40).contains(sums.dead) && sums.deviations.count == sums.values.count
          && sums.codeviations.count == sums.values.count
      }
  }

  /// Spectra, their depth profile, and the table of both.
  public func report(_ records: [Record], plan: Plan) throws -> Report {
    try FourierReport(records, settings: configuration, plan: plan).report
  }
}

/// Adds up each image's curve as a value passes.
private final class FourierObserver: BatchObserver {
  private let variant: FourierSettings.Variant
  private let plan: Plan
  private let starts: [Int]
  private var images = 0
  private var taps: [FourierAnalyzer.Record.Sums]

  init(_ settings: FourierSettings, plan: Plan) {
    variant = settings.variant
    self.plan = plan
    starts = plan.starts
    taps = Array(repeating: .init(), count: plan.tapCount)
  }

  func observe(subject: Int, tap: Int, value: Tensor) {
    images = value.shape[0]
    guard let grid = MapGrid(plan.subjects[subject].taps[tap]) else { return }
    let bins = FourierBins(grid, variant)
    // A row an image: its curve, then its number of dead maps.
    let width = bins.count + 1
    var rows = [Double](repeating: 0, count: images * width)
    rows.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      let out = DisjointWrites(base)
      grid.forEachImage(of: value) { image, maps in
        let row = out.pointer + image * width
        row[bins.count] = Double(bins.measure(maps, into: row))
      }
    }
    taps[starts[subject] + tap] = Self.sums(rows, count: bins.count)
  }

  private static func sums(_ rows: [Double], count: Int) -> FourierAnalyzer.Record.Sums {
    var sums = FourierAnalyzer.Record.Sums()
    guard rows.allSatisfy(\.isFinite) else {
      sums.isFinite = false
      return sums
    }
    let images = rows.count / (count + 1)
    func value(_ k: Int) -> (Int) -> Double { { rows[$0 * (count + 1) + k] } }
    for k in 0..<count {
      sums.values.append((0..<images).reduce(0) { $0 + value(k)($1) })
      sums.deviations.append(ImageMoments.codeviation(count: images, value(k), value(k)))
      sums.codeviations.append(ImageMoments.codeviation(count: images, value(k), value(0)))
    }
    sums.dead = (0..<images).reduce(0) { $0 + Int(value(count)($1)) }
    return sums
  }

  func finish() -> FourierAnalyzer.Record {
    FourierAnalyzer.Record(images: images, taps: taps)
  }
}
