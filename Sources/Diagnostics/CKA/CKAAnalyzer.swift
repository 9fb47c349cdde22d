import CKernels
import Reports
import StrictJSON
import Tensors

/// Centred kernel alignment between all pairs of taps, within and across subjects.
///
/// Kornblith et al. (2019) for the index, Nguyen et al. (2021) for minibatches: a ratio of sums of
/// HSIC over minibatches, each unbiased (Song et al. 2012). All pairs come from one matrix product
/// a minibatch over vectors of centred Gram entries.
public struct CKAAnalyzer: Analyzer {
  /// What one minibatch contributes.
  public struct Record: Codable, Sendable {
    /// Images in the minibatch.
    public let images: Int
    /// `<K_a, K_b>` of centred Grams, the lower triangle row by row over all taps of all subjects.
    public let products: [Double]
    /// Squared norms of the Grams before U- or double-centring: the size against which products count
    /// as zero.
    public let scales: [Double]
    /// Layers, counted over all subjects, whose values were not finite in this minibatch.
    public let nonfinite: [Int]
  }

  /// `cka`.
  public static let name = "cka"
  /// Whole blocks.
  public static let defaultOrdering = TapOrdering.blocks
  /// The settings.
  public let configuration: CKASettings

  /// An analyzer with the given settings.
  public init(_ configuration: CKASettings = CKASettings()) { self.configuration = configuration }

  /// The settings as JSON.
  public var settings: JSONValue { configuration.json }

  /// As many as the estimator needs.
  public var minimumBatch: MinimumBatch { configuration.estimator.minimum }

  /// The centred Gram entries of all layers, and what it takes to make one layer's.
  public func keptBytes(_ plan: Plan, images n: Int) -> Int {
    plan.tapCount * n * (n + 1) / 2 * 8 + n * (8192 * 4 + 10 * n * 8)
  }

  /// Everything but attention maps and logits has rows to compare.
  public func accepts(_ tap: Tap) -> Bool {
    if case .connections = tap.layout { return false }
    return tap.kind != .logits
  }

  /// Starts on a minibatch.
  public func begin(_ batch: BatchIdentity, plan: Plan) -> any BatchObserver<Record> {
    CKAObserver(configuration, plan: plan)
  }

  /// One product a pair of layers and one scale a layer.
  public func isValid(_ record: Record, plan: Plan) -> Bool {
    let layers = plan.tapCount
    return plan.canHold(record.images) && record.products.count == layers * (layers + 1) / 2
      && record.scales.count == layers
      && (0...CKASettings.mostResamples).contains(configuration.bootstrap)
      && record.nonfinite.allSatisfy { $0 >= 0 && $0 < layers }
  }

  /// Curves, heatmaps and their tables.
  public func report(_ records: [Record], plan: Plan) throws -> Report {
    try CKAReport(records, settings: configuration, plan: plan).report
  }
}

/// Turns each value into a vector of centred Gram entries as it passes, and all of them into pair
/// products at the end.
private final class CKAObserver: BatchObserver {
  private let settings: CKASettings
  private let plan: Plan
  private let starts: [Int]
  private let layers: Int
  private var images = 0
  private var isTooSmall: Bool { images < settings.estimator.minimum.count }
  private var vectors: UnsafeMutableBufferPointer<Double>?
  private var scales: [Double]
  private var nonfinite: Set<Int> = []

  init(_ settings: CKASettings, plan: Plan) {
    self.settings = settings
    self.plan = plan
    starts = plan.starts
    layers = plan.tapCount
    scales = [Double](repeating: 0, count: layers)
  }

  deinit { vectors?.deallocate() }

  private var width: Int {
    images * (images - 1) / 2 + (settings.estimator == .biased ? images : 0)
  }

  func observe(subject: Int, tap: Int, value: Tensor) {
    let layer = starts[subject] + tap
    if vectors == nil {
      images = value.shape[0]
      let memory = UnsafeMutableBufferPointer<Double>.allocate(capacity: layers * max(1, width))
      memory.initialize(repeating: 0)
      vectors = memory
    }
    let planned = plan.subjects[subject].taps[tap]
    guard !isTooSmall, let columns = settings.rows.columns(of: planned), let vectors,
      let base = vectors.baseAddress
    else { return }
    let whole = value.shape.count / max(1, images)
    var rows = value
    var (offset, count, stride) = (columns.offset, columns.count, whole)
    if settings.rows == .pool, let channels = planned.shape.last, count > channels {
      rows = value.reshaped([images, whole]).slice(axis: 1, start: offset, length: count)
        .reshaped([images, count / channels, channels]).mean(axis: 1)
      (offset, count, stride) = (0, channels, channels)
    }
    let gram: GramMatrix? = rows.withValues { buffer in
      guard let data = buffer.baseAddress else { return nil }
      // What is multiplied shows in the Gram matrix, the rest is looked through.
      if count < stride, ck_first_nonfinite(data, buffer.count) < buffer.count { return nil }
      return GramMatrix(data + offset, n: images, columns: count, stride: stride)
    }
    // Differences of values near the largest float overflow.
    guard var gram, gram.squaredNorm.isFinite else {
      nonfinite.insert(layer)
      return
    }
    if settings.kernel == .rbf, !gram.applyRBF(scale: settings.rbfScale) { return }
    scales[layer] = gram.squaredNorm
    let out = base + layer * width
    switch settings.estimator {
    case .unbiased: gram.uCentred(into: out)
    case .biased: gram.doubleCentred(into: out)
    }
  }

  func finish() -> CKAAnalyzer.Record {
    let products =
      vectors?.baseAddress.map { OpenBLAS.gram($0, rows: layers, columns: width) }
      ?? [Double](repeating: 0, count: layers * layers)
    let triangle = (0..<layers).flatMap { i in products[(i * layers)...(i * layers + i)] }
    return CKAAnalyzer.Record(
      images: images, products: Array(triangle), scales: scales, nonfinite: nonfinite.sorted())
  }
}
