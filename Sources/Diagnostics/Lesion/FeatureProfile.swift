import Tensors

/// The variance and the high-frequency amplitude of a pass's maps behind each residual branch, as `variance` and
/// `fourier` measure them by default.
public final class FeatureProfile {
  private let taps: [PlannedTap?]
  private let plan: Plan
  private let variance: any BatchObserver<VarianceAnalyzer.Record>
  private let fourier: any BatchObserver<FourierAnalyzer.Record>
  private var seen: Set<Int> = []

  /// - Parameters:
  ///   - taps: of each branch, where its maps are looked at; nil where it has none.
  public init(_ taps: [PlannedTap?]) {
    self.taps = taps
    plan = Plan(
      subjects: [SubjectPlan(label: "", family: "", taps: taps.compactMap(\.self))],
      batchSizes: [1], batchSize: 1)
    let batch = BatchIdentity(number: 0, ids: [], positions: [], labels: [])
    variance = VarianceAnalyzer().begin(batch, plan: plan)
    fourier = FourierAnalyzer().begin(batch, plan: plan)
  }

  /// Whether a tap is one of those.
  public func wants(_ tap: Tap) -> Bool {
    plan.subjects[0].taps.contains { $0.tap.name == tap.name }
  }

  /// Looks at the value of a tap.
  public func observe(_ tap: Tap, _ value: Tensor) {
    for (place, planned) in plan.subjects[0].taps.enumerated() where planned.tap.name == tap.name {
      guard seen.insert(place).inserted else { continue }
      variance.observe(subject: 0, tap: place, value: value)
      fourier.observe(subject: 0, tap: place, value: value)
    }
  }

  /// How many numbers a minibatch has for so many branches.
  static func measureCount(branches: Int) -> Int { 1 + 2 * branches }

  /// Images, then of each branch the sums over them of the spatial variance and of the log amplitude of the
  /// highest frequency relative to the constant; NaN where there is none.
  public func measures(images: Int) -> [Double] {
    let (variances, spectra) = (variance.finish().taps, fourier.finish().taps)
    var (measures, place) = ([Double(images)], 0)
    for tap in taps {
      guard tap != nil else {
        measures += [.nan, .nan]
        continue
      }
      let (v, f) = (variances[place], spectra[place])
      place += 1
      let isSeen = seen.contains(place - 1)
      measures.append(isSeen && v.isFinite ? v.variance : .nan)
      measures.append(
        isSeen && f.isFinite && f.values.count > 1
          ? f.values[f.values.count - 1] - f.values[0] : .nan)
    }
    return measures
  }
}
