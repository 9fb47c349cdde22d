/// The way of resampling that the attributes of `Resize` ask for.
struct ONNXResampling {
  private let mode: String
  private let place: String
  private let rounding: String
  private let slope: Double
  private let isSmoothed: Bool
  private let isInside: Bool

  var alignsCorners: Bool { place == "align_corners" }

  init(_ call: ONNXCall) throws(GraphError) {
    mode = try call.text("mode", "nearest")
    place = try call.text("coordinate_transformation_mode", "half_pixel")
    rounding = try call.text("nearest_mode", "round_prefer_floor")
    slope = try call.real("cubic_coeff_a", -0.75)
    isSmoothed = try call.int("antialias", 0) != 0
    isInside = try call.int("exclude_outside", 0) != 0
    let places = [
      "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
    ]
    let roundings = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
    guard ["nearest", "linear", "cubic"].contains(mode), places.contains(place),
      roundings.contains(rounding), !isSmoothed || mode != "nearest", slope.isFinite
    else {
      throw GraphError(
        .unrecognised, "resampling by \(mode), \(place), \(rounding)",
        expected: "nearest, linear or cubic, by \(places.joined(separator: ", "))",
        advice: GraphError.capture)
    }
  }

  /// The operation of PyTorch that does the same; nil where there is none.
  ///
  /// - Parameter isSingle: whether a result has one row or column.
  func operation(isSingle: Bool) -> String? {
    // Over one place these differ.
    let isHalf = place == "half_pixel" || place == "pytorch_half_pixel" && !isSingle
    switch (mode, isSmoothed) {
    case ("nearest", false) where place == "asymmetric" && rounding == "floor":
      return "upsample_nearest2d"
    case ("nearest", false) where isHalf && rounding == "round_prefer_ceil":
      return "_upsample_nearest_exact2d"
    case ("linear", false) where isHalf || alignsCorners: return "upsample_bilinear2d"
    case ("cubic", false) where (isHalf || alignsCorners) && slope == -0.75 && !isInside:
      return "upsample_bicubic2d"
    case ("cubic", true) where isHalf && slope == -0.5 && isInside: return "_upsample_bicubic2d_aa"
    default: return nil
    }
  }

  /// What each place of a resampled axis is made of, `[to][from]`.
  ///
  /// - Parameter scale: new places for each old one.
  func weights(from: Int, to: Int, scale: Double) throws(GraphError) -> [[Double]] {
    guard scale > 0, from * to <= HostArray.maximumCount else {
      throw GraphError("\(to) places of \(from)", expected: "at most \(HostArray.maximumCount)")
    }
    return (0..<to).map { place in
      let position = position(place, from: from, to: to, scale: scale)
      var row = [Double](repeating: 0, count: from)
      func add(_ place: Int, _ weight: Double) {
        if isInside, !(0..<from).contains(place) { return }
        row[min(max(place, 0), from - 1)] += weight
      }
      // A kernel is widened when shrinking.
      let stretch = isSmoothed ? max(1, 1 / scale) : 1
      switch mode {
      case "nearest": row[min(max(Int(rounded(position)), 0), from - 1)] = 1
      case "linear" where !isSmoothed:
        let inside = min(max(position, 0), Double(from - 1))
        let low = inside.rounded(.down)
        row[Int(low)] += 1 - (inside - low)
        row[min(Int(low) + 1, from - 1)] += inside - low
      default:
        let reach = (mode == "cubic" ? 2 : 1) * stretch
        let (first, last) = ((position - reach).rounded(.down), (position + reach).rounded(.up))
        for place in Int(first)...Int(last) {
          let distance = abs(Double(place) - position) / stretch
          add(place, mode == "cubic" ? cubic(distance) : max(0, 1 - distance))
        }
        let total = row.reduce(0, +)
        if isInside || isSmoothed, total != 0 { row = row.map { $0 / total } }
      }
      return row
    }
  }

  private func position(_ place: Int, from: Int, to: Int, scale: Double) -> Double {
    let half = (Double(place) + 0.5) / scale - 0.5
    switch self.place {
    case "align_corners": return to > 1 ? Double(place) * Double(from - 1) / Double(to - 1) : 0
    case "asymmetric": return Double(place) / scale
    case "pytorch_half_pixel": return to > 1 ? half : 0
    case "half_pixel_symmetric":
      let whole = scale * Double(from)
      return Double(from) / 2 * (1 - Double(to) / whole) + half
    default: return half
    }
  }

  private func rounded(_ position: Double) -> Double {
    switch rounding {
    case "floor": position.rounded(.down)
    case "ceil": position.rounded(.up)
    case "round_prefer_ceil": (position + 0.5).rounded(.down)
    default: (position - 0.5).rounded(.up)
    }
  }

  /// Keys' cubic convolution kernel.
  private func cubic(_ x: Double) -> Double {
    if x < 1 { return ((slope + 2) * x - (slope + 3)) * x * x + 1 }
    if x < 2 { return (((x - 5) * x + 8) * x - 4) * slope }
    return 0
  }
}
