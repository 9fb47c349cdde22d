import Glibc

/// An axis with its limits and ticks settled: values to places in 0...1.
struct AxisScale {
  struct Tick {
    var place: Double
    var label: Label
  }

  let low: Double
  let high: Double
  let isLog: Bool
  private(set) var ticks: [Tick] = []
  /// Places of unlabelled ticks.
  private(set) var minor: [Double] = []
  private(set) var title: Label

  /// The place of a value, outside 0...1 beyond the limits; nil if a log axis cannot hold it.
  func place(_ value: Double) -> Double? {
    let place: Double
    if isLog {
      guard value > 0 else { return nil }
      place = (log(value) - log(low)) / (log(high) - log(low))
    } else {
      place = (value - low) / (high - low)
    }
    // Far outside is as good as farther outside, and stays a number that can be drawn to.
    return place.isFinite ? min(max(place, -100), 100) : nil
  }

  /// The place, held to the limits, and the lower one for what a log axis cannot hold.
  func clamped(_ value: Double) -> Double { min(max(place(value) ?? 0, 0), 1) }

  /// - Parameters:
  ///   - extent: the least and greatest values drawn, or nil if there are none.
  ///   - length: pixels from end to end.
  ///   - margin: how far automatic limits go beyond the data, in parts of its span.
  init(
    _ axis: Axis, extent: Extent, length: Double, margin: Double, spacing: Double,
    isHorizontal: Bool, fontSize: Double
  ) {
    isLog = axis.scale == .log
    if let range = axis.range, range.lowerBound < range.upperBound,
      (range.upperBound - range.lowerBound).isFinite
    {
      (low, high) = (range.lowerBound, range.upperBound)
    } else if isLog {
      let (least, greatest) = extent.positive ?? (0.1, 10)
      let span = max(log10(greatest) - log10(least), 0.5)
      low = min(
        max(pow(10, log10(least) - span * margin), .leastNormalMagnitude),
        .greatestFiniteMagnitude / 1e4)
      let end = min(pow(10, log10(greatest) + span * margin), .greatestFiniteMagnitude / 4)
      // Subnormal values all lie at the low end.
      high = max(end, low * 3)
    } else {
      var (least, greatest) = extent.all ?? (0, 1)
      let reachesZero = axis.includesZero || extent.hasBase
      if reachesZero { (least, greatest) = (min(least, 0), max(greatest, 0)) }
      if least == greatest {
        // Not below what a Double can tell apart.
        let pad = least == 0 ? 1 : max(least.magnitude * 0.1, .leastNormalMagnitude)
        (low, high) = reachesZero && least == 0 ? (0, 1) : (least - pad, least + pad)
      } else {
        // Far from the greatest Double, where spans and margins would overflow.
        let limit = Double.greatestFiniteMagnitude / 8
        (least, greatest) = (max(least, -limit), min(greatest, limit))
        let pad = (greatest - least) * margin
        low = reachesZero && least == 0 ? 0 : least - pad
        high = reachesZero && greatest == 0 ? 0 : greatest + pad
      }
    }
    title = Label(axis.title + (axis.unit.map { " (\($0))" } ?? ""))

    // Powers of ten are short, and a decade is worth a tick of its own.
    var target = max(2, Int(length / (isLog ? spacing * 0.6 : spacing)))
    if let given = axis.ticks {
      ticks = given.compactMap { tick in
        guard let place = place(tick.value), place > -1e-9, place < 1 + 1e-9 else { return nil }
        return Tick(place: place, label: Label(raising: tick.label))
      }
      while isHorizontal && ticks.count > 2 && overlaps(length: length, fontSize: fontSize) {
        ticks = stride(from: 0, to: ticks.count, by: 2).map { ticks[$0] }
      }
      return
    }
    repeat {
      if isLog { setLogTicks(about: target) } else { setLinearTicks(axis, about: target) }
      target -= 1
    } while isHorizontal && target >= 2 && overlaps(length: length, fontSize: fontSize)
  }

  private mutating func setLinearTicks(_ axis: Axis, about target: Int) {
    let scale = Ticks.linear(low...high, about: target)
    let greatest = scale.values.map(\.magnitude).max() ?? 0
    var exponent = 0
    var decimals = scale.decimals
    title = Label(axis.title + (axis.unit.map { " (\($0))" } ?? ""))
    if greatest > 0 && (greatest >= 1e5 || greatest < 1e-2) {
      exponent = NumberText.decimalExponent(greatest)
      decimals = Ticks.decimals(step: scale.step / NumberText.powerOfTen(exponent))
      let unit = axis.unit.map { "\($0), " } ?? ""
      title = Label(
        "\(axis.title) (\(unit)×10", superscript: Self.minus(String(exponent)), tail: ")")
    }
    ticks = scale.values.compactMap { value in
      guard let place = place(value) else { return nil }
      let reduced = value / NumberText.powerOfTen(exponent)
      return Tick(place: place, label: Label(Self.minus(NumberText.fixed(reduced, decimals))))
    }
  }

  private mutating func setLogTicks(about target: Int) {
    let decades = Ticks.decades(low...high, about: target)
    minor = []
    guard decades.count >= 2, let first = decades.first, let last = decades.last else {
      // Less than two decades: 1, 2 and 5 times powers of ten, in full.
      let base = Int(log10(low).rounded(.down))
      for exponent in base...(base + 2) {
        for factor in [1.0, 2, 5] {
          let value = factor * NumberText.powerOfTen(exponent)
          guard let place = place(value), place >= -1e-9, place <= 1 + 1e-9 else { continue }
          let text = NumberText.trimmed(value, min(max(0, -exponent), 12))
          ticks.append(Tick(place: place, label: Label(text)))
        }
      }
      return
    }
    ticks = decades.compactMap { exponent in
      place(NumberText.powerOfTen(exponent)).map {
        Tick(place: $0, label: Label("10", superscript: Self.minus(String(exponent))))
      }
    }
    guard last - first + 1 == decades.count, decades.count <= 6 else { return }
    for exponent in (first - 1)...last {
      for factor in 2...9 {
        let value = Double(factor) * NumberText.powerOfTen(exponent)
        if let place = place(value), place > 0, place < 1 { minor.append(place) }
      }
    }
  }

  private func overlaps(length: Double, fontSize: Double) -> Bool {
    var end = -Double.infinity
    for tick in ticks.sorted(by: { $0.place < $1.place }) {
      let half = tick.label.width(size: fontSize) / 2
      if tick.place * length - half < end + 6 { return true }
      end = tick.place * length + half
    }
    return false
  }

  /// The true minus sign, as wide as a plus.
  static func minus(_ text: String) -> String {
    text.hasPrefix("-") ? "\u{2212}" + text.dropFirst() : text
  }
}

/// The least and greatest of the values that an axis must show.
struct Extent {
  private(set) var all: (Double, Double)?
  private(set) var positive: (Double, Double)?
  /// Whether something stands on zero: bars, densities.
  var hasBase = false

  mutating func include(_ value: Double?) {
    guard let value, value.isFinite else { return }
    all = (min(all?.0 ?? value, value), max(all?.1 ?? value, value))
    if value > 0 {
      positive = (min(positive?.0 ?? value, value), max(positive?.1 ?? value, value))
    }
  }

  mutating func include(_ other: Extent) {
    for pair in [other.all, other.positive] {
      include(pair?.0)
      include(pair?.1)
    }
    hasBase = hasBase || other.hasBase
  }

  /// What the marks of a panel need in x and y.
  static func of(_ marks: [Mark]) -> (x: Extent, y: Extent) {
    var x = Extent()
    var y = Extent()
    for mark in marks {
      switch mark {
      case .series(let series):
        for point in series.points {
          x.include(point.x)
          y.include(point.y)
          y.include(point.low)
          y.include(point.high)
        }
      case .area(let area):
        y.hasBase = true
        for point in area.points {
          x.include(point.x)
          y.include(point.y)
        }
      case .bars(let bars):
        y.hasBase = true
        for edge in bars.edges { x.include(edge) }
        for height in bars.heights { y.include(height) }
      case .heatMap(let map):
        x.include(-0.5)
        x.include(Double(map.columnNames.count) - 0.5)
        y.include(-0.5)
        y.include(Double(map.rowNames.count) - 0.5)
      case .level(let value, _, _): y.include(value)
      case .position(let value, _, _, _): x.include(value)
      case .note(let placeX, let placeY, _):
        x.include(placeX)
        y.include(placeY)
      case .shade: break
      }
    }
    return (x, y)
  }
}
