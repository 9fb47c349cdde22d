import Testing

@testable import Reports

@Suite struct NumberTextTests {
  @Test(arguments: [
    (0.0, 2, "0.00"), (1.005, 2, "1.01"), (-1.005, 2, "-1.01"), (-0.004, 2, "0.00"),
    (0.5, 0, "1"), (1.5, 0, "2"), (2.5, 0, "3"), (999.995, 2, "1000.00"), (0.05, 1, "0.1"),
    (0.04, 1, "0.0"), (1e15, 1, "1000000000000000.0"), (1e22, 0, "10000000000000000000000"),
    (123.456, 1, "123.5"), (1e-300, 3, "0.000"), (0.9999, 3, "1.000"), (99.99, 0, "100"),
  ])
  func fixed(value: Double, decimals: Int, text: String) {
    #expect(NumberText.fixed(value, decimals) == text)
  }

  @Test(arguments: [
    (0.0, "0"), (1.0, "1.000"), (9.99996, "10.00"), (0.123456, "0.1235"), (123_456.0, "123456"),
    (1_234_567.0, "1.235e+06"), (0.0001, "0.0001000"), (0.00001, "1.000e-05"),
    (-1234.5, "-1235"), (9.9999e-5, "0.0001000"), (999_999.6, "1.000e+06"),
    (.leastNonzeroMagnitude, "5.000e-324"), (1.7976931348623157e308, "1.798e+308"),
  ])
  func significant(value: Double, text: String) {
    #expect(NumberText.significant(value) == text)
  }

  @Test(arguments: [
    (1.0, 0), (999.9, 2), (1e-3, -3), (0.00999, -3), (1e23, 23), (.leastNonzeroMagnitude, -324),
  ])
  func decade(value: Double, exponent: Int) {
    #expect(NumberText.decimalExponent(value) == exponent)
  }

  @Test(arguments: [
    (0.0, 1.0, 6, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
    (-5.4, 0.2, 6, ["-5", "-4", "-3", "-2", "-1", "0"]),
    (0.0, 1000.0, 5, ["0", "200", "400", "600", "800", "1000"]),
    (97.0, 103.0, 6, ["97", "98", "99", "100", "101", "102", "103"]),
  ])
  func ticksAreRound(low: Double, high: Double, target: Int, labels: [String]) {
    let scale = Ticks.linear(low...high, about: target)
    #expect(scale.values.map { NumberText.fixed($0, scale.decimals) } == labels)
  }

  /// Whatever the limits: ticks inside, increasing, told apart by their labels.
  @Test func ticksOfRandomRanges() {
    for index in 0..<3000 {
      let magnitude = NumberText.powerOfTen(Int(SampleFigures.noise(index) * 9))
      let low = SampleFigures.noise(index + 10_000) * magnitude
      let span = (1.02 + SampleFigures.noise(index + 20_000)) * magnitude
      let scale = Ticks.linear(low...(low + span), about: 2 + index % 9)
      #expect(scale.values.count >= 2 && scale.values.count <= 30)
      for value in scale.values {
        #expect(value >= low - span * 1e-6 && value <= low + span * (1 + 1e-6))
      }
      if magnitude > 1e-6 {
        let labels = scale.values.map { NumberText.fixed($0, scale.decimals) }
        #expect(Set(labels).count == labels.count, "\(low) \(span): \(labels)")
      }
    }
  }

  @Test func textWidthsAreThoseOfTheWiderOfTwoFonts() {
    // 1000 units an em. DejaVu Sans: W 989, i 278, space 318, 0 637, π 603; Helvetica: A 667, π 690.
    #expect(TextMetrics.width("Wi 0", size: 1000) == 989 + 278 + 318 + 637)
    #expect(TextMetrics.width("π", size: 1000) >= 690)
    #expect(TextMetrics.width("W", size: 1000, bold: true) == 1104)
    #expect(TextMetrics.wrap("aa bb cc", size: 10, width: 30) == ["aa bb", "cc"])
    #expect(TextMetrics.wrap("of 95 % cc", size: 10, width: 35) == ["of", "95 %", "cc"])
    #expect(Label(raising: "−10⁻¹²") == Label("−10", superscript: "−12"))
    #expect(Label(raising: "0.5") == Label("0.5"))
    let long = String(repeating: "m", count: 100)
    let short = TextMetrics.shorten(long, size: 10, width: 60)
    #expect(TextMetrics.width(short, size: 10) <= 60 && short.contains("…"))
  }
}
