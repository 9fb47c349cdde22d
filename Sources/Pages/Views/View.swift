import Reports

/// A part of the page: what one analysis found, from its tables alone.
struct View: Sendable {
  /// The anchor of its heading, and the stem of the names of its figures.
  let id: String
  let title: String
  /// What is to be seen, for a reader who is not at home in it.
  let explanation: String
  /// The tables that it shows; it is left out where a run has none of them.
  let tables: [String]
  /// The figures of a run.
  var figures: @Sendable (RunResults, LayerIndex) throws(ResultsError) -> [Figure] = { _, _ in [] }

  /// In the order of the page.
  static let all: [View] = [
    .metrics, .cka, .fourier, .variance, .attention, .hessian, .landscape, .robustness, .lesion,
  ]

  static let metrics = View(
    id: "metrics", title: "Read-outs",
    explanation: "How well the networks answer as they are: if accuracy is at chance, weights, "
      + "preprocessing or labels do not fit, and nothing below means much.",
    tables: ["metrics"])
}

/// The half width of a normal 95 % interval in standard errors.
let halfWidth = 1.959963984540054

extension Point {
  /// A point with an interval of 95 % from a standard error.
  init(_ x: Double, _ y: Double?, error: Double?, label: String, key: Int?) {
    let half = error.map { halfWidth * $0 }
    self.init(
      x, y, low: y.flatMap { y in half.map { y - $0 } },
      high: y.flatMap { y in half.map { y + $0 } }, label: label, key: key)
  }
}

/// "n = 512 images" from a column of counts.
func imageCount(_ counts: [Double?]) -> String {
  let n = counts.compactMap(\.self).max() ?? 0
  return "n = \(whole(n)) image\(n == 1 ? "" : "s")"
}

/// The strips of a panel over depth: steps into self-attentions and into subsampling.
func shades(_ depths: [Double?], _ kinds: [String]) -> [Mark] {
  zip(zip(depths, depths.dropFirst()), kinds.dropFirst()).compactMap { step, kind in
    guard let from = step.0, let to = step.1, from < to else { return nil }
    switch kind {
    case "msa": return .shade(.attention(from...to))
    case "pool": return .shade(.subsampling(from...to))
    default: return nil
    }
  }
}
