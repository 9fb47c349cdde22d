import Glibc

/// Ticks at round numbers.
///
/// Linear: the search of Talbot, Lin and Hanrahan, "An Extension of Wilkinson's Algorithm for
/// Positioning Tick Labels on Axes" (2010), with ticks kept inside the limits.
enum Ticks {
  /// Evenly spaced values.
  struct Scale: Equatable {
    var values: [Double]
    var step: Double
    var decimals: Int { Ticks.decimals(step: step) }
  }

  static func linear(_ range: ClosedRange<Double>, about target: Int) -> Scale {
    let (low, high) = (range.lowerBound, range.upperBound)
    let span = high - low
    guard span > 0, span.isFinite, target >= 2 else {
      return Scale(values: [low], step: 1)
    }
    let steps: [Double] = [1, 2, 5, 2.5]
    var best = -Double.infinity
    var chosen: (first: Double, step: Double, count: Int)?
    for (index, base) in steps.enumerated() {
      for exponent
        in (NumberText.decimalExponent(span) - 2)...(NumberText.decimalExponent(span) + 1)
      {
        let step = base * NumberText.powerOfTen(exponent)
        // A little slack, so that a limit which is a tick up to rounding keeps it.
        let first = (low / step - 1e-9).rounded(.up)
        let last = (high / step + 1e-9).rounded(.down)
        guard last >= first, last - first < 30 else { continue }
        let count = Int(last - first) + 1
        guard count >= 2 else { continue }
        let hasZero = first <= 0 && last >= 0 ? 1.0 : 0.0
        let simplicity = 1 - Double(index) / Double(steps.count - 1) * 0.8 + hasZero * 0.3
        let coverage = (last - first) * step / span
        let density = 2 - max(Double(count) / Double(target), Double(target) / Double(count))
        let score = 0.3 * simplicity + 0.4 * coverage + 0.5 * density
        if score > best {
          best = score
          chosen = (first, step, count)
        }
      }
    }
    guard let chosen else { return Scale(values: [low], step: span) }
    let values = (0..<chosen.count).map { (chosen.first + Double($0)) * chosen.step }
    return Scale(values: values, step: chosen.step)
  }

  /// Decimals that tell neighbouring ticks apart.
  static func decimals(step: Double) -> Int {
    let exponent = NumberText.decimalExponent(step)
    let isQuarter = (step / NumberText.powerOfTen(exponent) * 10).rounded() == 25
    return min(max(0, (isQuarter ? 1 : 0) - exponent), 12)
  }

  /// Powers of ten within a positive range, every n-th if there are many.
  static func decades(_ range: ClosedRange<Double>, about target: Int) -> [Int] {
    let low = Int((log10(range.lowerBound) - 1e-9).rounded(.up))
    let high = Int((log10(range.upperBound) + 1e-9).rounded(.down))
    guard low <= high else { return [] }
    let step = max(1, (high - low + max(target, 2)) / max(target, 2))
    return Array(stride(from: low, through: high, by: step))
  }
}
