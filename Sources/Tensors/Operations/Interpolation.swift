/// How values at other places of an axis are made from those that are there, as PyTorch's `interpolate`.
public enum Interpolation: Sendable, Hashable {
  /// The place at or before.
  case nearest
  /// The place whose centre is nearest.
  case nearestExact
  /// Between two places; with aligned corners the first and the last places of both axes meet, otherwise
  /// their outer edges do.
  case linear(alignsCorners: Bool)
  /// Keys' cubic convolution with a = -0.75 over four places, those beyond the ends clamped.
  case cubic(alignsCorners: Bool)
  /// Between two places, of more of them when shrinking.
  case antialiasedLinear
  /// Keys' cubic convolution with a = -0.5, its kernel widened when shrinking.
  case antialiasedCubic

  /// The weights `[to][from]`.
  ///
  /// - Parameters:
  ///   - scale: new places for each old one, where that is not to follow from the extents; without effect
  ///     on aligned corners.
  /// - Precondition: there are places on both sides.
  public func weights(from: Int, to: Int, scale: Double? = nil) -> [[Double]] {
    precondition(from > 0 && to > 0, "Nothing to be made \(to) places from \(from)")
    return (0..<to).map { place in
      var row = [Double](repeating: 0, count: from)
      let step = scale.map { 1 / $0 } ?? Double(from) / Double(to)
      let aligned = to > 1 ? Double(place) * Double(from - 1) / Double(to - 1) : 0
      // Centres lie at half-integers.
      let centre = (Double(place) + 0.5) * step
      switch self {
      case .nearest:
        // PyTorch chooses in Float32.
        row[min(Int((Float(place) * Float(step)).rounded(.down)), from - 1)] = 1
      case .nearestExact:
        row[min(Int(((Float(place) + 0.5) * Float(step)).rounded(.down)), from - 1)] = 1
      case .linear(let alignsCorners):
        let position = alignsCorners ? aligned : max(centre - 0.5, 0)
        let low = min(Int(position), from - 1)
        let fraction = position - Double(low)
        row[low] += 1 - fraction
        row[min(low + 1, from - 1)] += fraction
      case .cubic(let alignsCorners):
        let position = alignsCorners ? aligned : centre - 0.5
        let start = position.rounded(.down)
        for step in -1...2 {
          let j = Int(start) + step
          row[min(max(j, 0), from - 1)] += Self.cubic(position - Double(j), -0.75)
        }
      case .antialiasedLinear, .antialiasedCubic:
        let isCubic = self == .antialiasedCubic
        let stretch = max(step, 1)
        let reach = (isCubic ? 2 : 1) * stretch
        let first = max(Int(centre - reach + 0.5), 0)
        let last = min(Int(centre + reach + 0.5), from)
        for j in first..<max(first, last) {
          let distance = (Double(j) - centre + 0.5) / stretch
          row[j] = isCubic ? Self.cubic(distance, -0.5) : max(0, 1 - abs(distance))
        }
        let total = row.reduce(0, +)
        if total != 0 { row = row.map { $0 / total } }
      }
      return row
    }
  }

  /// Keys' cubic convolution kernel with the parameter `a`.
  private static func cubic(_ x: Double, _ a: Double) -> Double {
    let x = abs(x)
    if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
    if x < 2 { return (((x - 5) * x + 8) * x - 4) * a }
    return 0
  }

  fileprivate func sparse(from: Int, to: Int, scale: Double?) -> ResamplingWeights {
    let rows = weights(from: from, to: to, scale: scale)
    return ResamplingWeights(
      count: from,
      rows: rows.map { row in row.indices.filter { row[$0] != 0 }.map { ($0, row[$0]) } })
  }
}

extension Tensor {
  /// A map `[N, H, W, C]` with other extents, `[N, height, width, C]`.
  ///
  /// - Parameters:
  ///   - scale: new rows and columns for each old one, where that is not to follow from the extents (as
  ///     when PyTorch is given a `scale_factor`).
  /// - Precondition: there are places on both sides.
  public func interpolated(
    height: Int, width: Int, _ interpolation: Interpolation,
    scale: (height: Double?, width: Double?) = (nil, nil)
  ) -> Tensor {
    resampled(
      rows: interpolation.sparse(from: shape[1], to: height, scale: scale.height),
      columns: interpolation.sparse(from: shape[2], to: width, scale: scale.width))
  }
}
