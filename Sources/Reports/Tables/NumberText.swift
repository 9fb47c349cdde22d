/// Decimal renderings of a Double that depend on no locale and round the shortest decimal that
/// reads back as the same value, halves away from zero: what a reader of the full number expects.
public enum NumberText {
  /// 0.d₁d₂d₃… × 10^exponent; zero has no digits.
  private struct Decimal {
    var digits: [UInt8] = []
    var exponent = 0

    init(_ magnitude: Double) {
      var exponentText: Substring = "0"
      var pointSeen = false
      var scan = Substring(magnitude.description)
      if let mark = scan.firstIndex(of: "e") {
        exponentText = scan[scan.index(after: mark)...].drop { $0 == "+" }
        scan = scan[..<mark]
      }
      for byte in scan.utf8 {
        if byte == UInt8(ascii: ".") {
          pointSeen = true
        } else if digits.isEmpty && byte == UInt8(ascii: "0") {
          if pointSeen { exponent -= 1 }
        } else {
          digits.append(byte &- UInt8(ascii: "0"))
          if !pointSeen { exponent += 1 }
        }
      }
      while digits.last == 0 { digits.removeLast() }
      exponent = digits.isEmpty ? 0 : exponent + (Int(exponentText) ?? 0)
    }

    /// Keeps `count` digits.
    mutating func round(toDigits count: Int) {
      guard count < digits.count else { return }
      guard count >= 0 else {
        digits = []
        return
      }
      let roundsUp = digits[count] >= 5
      digits.removeLast(digits.count - count)
      guard roundsUp else { return }
      while digits.last == 9 { digits.removeLast() }
      if let last = digits.popLast() {
        digits.append(last + 1)
      } else {
        digits = [1]
        exponent += 1
      }
    }

    func digit(_ place: Int) -> Character {
      digits.indices.contains(place) ? Character(Unicode.Scalar(48 + digits[place])) : "0"
    }
  }

  /// `value` with exactly `decimals` digits after the point; never "-0.00".
  static func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite else { return "" }
    var decimal = Decimal(value.magnitude)
    decimal.round(toDigits: decimal.exponent + decimals)
    var text = value < 0 && !decimal.digits.isEmpty ? "-" : ""
    if decimal.digits.isEmpty || decimal.exponent <= 0 {
      text += "0"
    } else {
      for place in 0..<decimal.exponent { text.append(decimal.digit(place)) }
    }
    guard decimals > 0 else { return text }
    text += "."
    for place in 0..<decimals { text.append(decimal.digit(decimal.exponent + place)) }
    return text
  }

  /// `fixed` without trailing zeros: for coordinates, where bytes count.
  public static func trimmed(_ value: Double, _ decimals: Int) -> String {
    var text = fixed(value, decimals)
    guard text.utf8.contains(UInt8(ascii: ".")) else { return text }
    while text.hasSuffix("0") { text.removeLast() }
    if text.hasSuffix(".") { text.removeLast() }
    return text
  }

  /// `digits` significant digits: fixed notation from 1e-4 to 1e6, scientific outside.
  public static func significant(_ value: Double, digits: Int = 4) -> String {
    guard value.isFinite else { return "" }
    var decimal = Decimal(value.magnitude)
    decimal.round(toDigits: digits)
    guard !decimal.digits.isEmpty else { return "0" }
    let exponent = decimal.exponent - 1
    if exponent >= -4 && exponent < 6 { return fixed(value, max(0, digits - 1 - exponent)) }
    var text = value < 0 ? "-" : ""
    text.append(decimal.digit(0))
    if digits > 1 { text += "." }
    for place in 1..<max(digits, 1) { text.append(decimal.digit(place)) }
    return text + (exponent < 0 ? "e-" : "e+") + (exponent.magnitude < 10 ? "0" : "")
      + String(exponent.magnitude)
  }

  /// floor(log10 |value|), exact; 0 for zero.
  static func decimalExponent(_ value: Double) -> Int {
    guard value.isFinite else { return 0 }
    let decimal = Decimal(value.magnitude)
    return decimal.digits.isEmpty ? 0 : decimal.exponent - 1
  }

  /// 10 to an integer power.
  static func powerOfTen(_ exponent: Int) -> Double {
    var result = 1.0
    for _ in 0..<exponent.magnitude { result *= 10 }
    return exponent < 0 ? 1 / result : result
  }
}
