import Tensors

/// Similarities of all pairs of layers from the records of all minibatches: ratios of sums, with
/// percentile intervals from resampled minibatches.
struct CKAEstimates {
  /// Why a similarity is what it is.
  enum Status: String {
    case ok
    /// A layer does not vary: its HSIC with itself is zero.
    case degenerate
    /// The unbiased HSIC of a layer with itself came out negative: too few images.
    case nonpositiveSelf = "nonpositive_self"
    /// A value was not finite.
    case nonfinite = "nan_input"
    /// The rows asked for do not exist in a layer.
    case undefinedRows = "undefined_rows"
  }

  struct Estimate {
    var value: Double?
    var low: Double?
    var high: Double?
    var ab: Double?
    var aa: Double?
    var bb: Double?
    var status: Status
  }

  let images: Int
  let batches: Int
  /// Minibatches left out because the estimator does not exist for so few images.
  let tooSmall: Int
  let nonfinite: Set<Int>
  private let layers: Int
  /// Weighted sums over minibatches, divided by the sum of weights; the lower triangle.
  private let sums: [Double]
  private let status: [Status]
  /// The same for each resample, row by row: `[resamples, triangle]`.
  private var resampled: [Double] = []
  private var resamples = 0

  private static func at(_ i: Int, _ j: Int) -> Int {
    i >= j ? i * (i + 1) / 2 + j : j * (j + 1) / 2 + i
  }

  /// - Parameters:
  ///   - undefined: layers that lack the rows asked for.
  init(
    _ all: [CKAAnalyzer.Record], layers: Int, undefined: Set<Int>, settings: CKASettings
  ) {
    self.layers = layers
    let records = all.filter { $0.images >= settings.estimator.minimum.count }
    tooSmall = all.count - records.count
    images = records.reduce(0) { $0 + $1.images }
    batches = records.count
    nonfinite = Set(records.flatMap(\.nonfinite))
    let count = layers * (layers + 1) / 2
    let factors = records.map { settings.factor(images: $0.images) }
    let weights = records.map {
      switch settings.batchWeight {
      case .size: Double($0.images)
      case .equal: 1.0
      case .sum: 1.0
      }
    }
    let total = max(weights.reduce(0, +), .leastNormalMagnitude)
    var sums = [Double](repeating: 0, count: count)
    var scales = [Double](repeating: 0, count: layers)
    for (record, factor) in zip(records, factors) {
      for index in 0..<count { sums[index] += record.products[index] * (factor / total) }
      for layer in 0..<layers { scales[layer] += record.scales[layer] * (factor / total) }
    }
    self.sums = sums
    let bad = nonfinite
    status = (0..<layers).map { layer -> Status in
      let own = sums[Self.at(layer, layer)]
      if undefined.contains(layer) { return .undefinedRows }
      if bad.contains(layer) || !own.isFinite { return .nonfinite }
      // What rounding leaves of a zero is small against the Gram matrix it came from.
      if abs(own) <= 1e-10 * scales[layer] { return .degenerate }
      return own > 0 ? .ok : .nonpositiveSelf
    }
    if settings.bootstrap > 0, batches > 1 {
      resamples = settings.bootstrap
      resampled = Self.resample(
        records, factors: factors, count: count, resamples: resamples, seed: settings.seed)
    }
  }

  /// Draws minibatches with replacement: one product of multiplicities `[R, B]` with the records
  /// `[B, pairs]` gives all resampled sums.
  private static func resample(
    _ records: [CKAAnalyzer.Record], factors: [Double], count: Int, resamples: Int, seed: UInt64
  ) -> [Double] {
    let batches = records.count
    let random = CounterRandom(seed: seed, purpose: "bootstrap over minibatches")
    var multiplicity = [Double](repeating: 0, count: resamples * batches)
    for resample in 0..<resamples {
      for draw in 0..<batches {
        let pick = random.integer(below: batches, at: UInt64(resample * batches + draw))
        multiplicity[resample * batches + pick] += 1
      }
    }
    var table = [Double](repeating: 0, count: batches * count)
    for (batch, record) in records.enumerated() {
      for index in 0..<count {
        table[batch * count + index] = record.products[index] * factors[batch]
      }
    }
    // The sum of weights of a resample is common to numerator and denominator and drops out.
    return OpenBLAS.product(
      multiplicity, table, rows: resamples, inner: batches, columns: count)
  }

  /// The similarity of two layers, if it exists.
  func value(_ a: Int, _ b: Int) -> Double? {
    guard status[a] == .ok, status[b] == .ok else { return nil }
    return Self.ratio(
      sums[Self.at(a, b)], sums[Self.at(a, a)], sums[Self.at(b, b)], same: a == b)
  }

  /// The similarity of two layers, with its interval.
  func pair(_ a: Int, _ b: Int) -> Estimate {
    let (ab, aa, bb) = (
      sums[Self.at(a, b)], sums[Self.at(a, a)], sums[Self.at(b, b)]
    )
    let worst = status[a] != .ok ? status[a] : status[b]
    guard worst == .ok else {
      let known = worst == .degenerate || worst == .nonpositiveSelf
      return Estimate(
        ab: known ? ab : nil, aa: known ? aa : nil, bb: known ? bb : nil, status: worst)
    }
    var estimate = Estimate(
      value: value(a, b), ab: ab, aa: aa, bb: bb, status: .ok)
    (estimate.low, estimate.high) = Self.interval(
      (0..<resamples).compactMap { resampledRatio($0, a, b) }, of: resamples)
    return estimate
  }

  /// The interval of `CKA(a, last) / CKA(first, last)`.
  func ratioInterval(_ a: Int, _ first: Int, _ last: Int) -> (Double?, Double?) {
    Self.interval(
      (0..<resamples).compactMap { resample in
        guard let s = resampledRatio(resample, a, last),
          let s1 = resampledRatio(resample, first, last), s1 > 0
        else { return nil }
        return s / s1
      }, of: resamples)
  }

  private func resampledRatio(_ resample: Int, _ a: Int, _ b: Int) -> Double? {
    func sum(_ i: Int, _ j: Int) -> Double { resampled[resample * sums.count + Self.at(i, j)] }
    let (ab, aa, bb) = (sum(a, b), sum(a, a), sum(b, b))
    return aa > 0 && bb > 0 ? Self.ratio(ab, aa, bb, same: a == b) : nil
  }

  private static func ratio(_ ab: Double, _ aa: Double, _ bb: Double, same: Bool) -> Double {
    same ? 1 : ab / (aa.squareRoot() * bb.squareRoot())
  }

  /// The 95 % percentile interval; none if resamples were undefined more than now and then.
  private static func interval(_ values: [Double], of total: Int) -> (Double?, Double?) {
    guard total > 0, values.count * 20 >= total * 19 else { return (nil, nil) }
    let sorted = values.sorted()
    func quantile(_ q: Double) -> Double {
      let place = q * Double(sorted.count - 1)
      let below = Int(place)
      let above = min(below + 1, sorted.count - 1)
      return sorted[below] + (place - Double(below)) * (sorted[above] - sorted[below])
    }
    return (quantile(0.025), quantile(0.975))
  }
}
