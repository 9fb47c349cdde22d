/// How values between the places of a map are made, as PyTorch's `grid_sample`.
public enum GridInterpolation: Sendable, Hashable {
  /// Of the four places around, by distance.
  case linear
  /// The nearest place.
  case nearest
  /// Keys' cubic convolution with a = -0.75 of the sixteen places around.
  case cubic
}

/// What lies beyond the edges of a map that is sampled.
public enum GridBorder: Sendable, Hashable {
  case zeros
  /// The last place on each side.
  case border
  /// The map mirrored at its edges.
  case reflection
}

extension Tensor {
  /// The values of a map `[N, H, W, C]` at places `[N, h, w, 2]` (column, row), -1 being one edge and 1 the other:
  /// `[N, h, w, C]`.
  ///
  /// Differentiable by map and places, to any order; where a place passes from one square to the next the derivative is
  /// that of one side.
  ///
  /// - Parameters:
  ///   - alignsCorners: whether the edges are the centres of the outermost places.
  /// - Precondition: as many images in both.
  public func sampled(
    at places: Tensor, _ interpolation: GridInterpolation = .linear, border: GridBorder = .zeros,
    alignsCorners: Bool = false
  ) -> Tensor {
    precondition(
      shape.rank == 4 && places.shape.rank == 4 && places.shape[3] == 2
        && places.shape[0] == shape[0], "Places \(places.shape) of a map \(shape)")
    let axes = [2, 1].enumerated().map { index, axis in
      GridAxis(
        places.slice(axis: 3, start: index, length: 1), extent: shape[axis], border: border,
        alignsCorners: alignsCorners)
    }
    let (columns, rows) = (axes[0].taps(interpolation), axes[1].taps(interpolation))
    var sum: Tensor?
    for row in rows {
      for column in columns {
        let part = picked(row: row.index, column: column.index, like: places.shape)
        let weighted = [row.weight, column.weight].compactMap(\.self).reduce(part) { $0 * $1 }
        sum = sum.map { $0 + weighted } ?? weighted
      }
    }
    return sum ?? self
  }

  /// The values at one row and column for each place of a grid; zeros where one of them is -1.
  private func picked(row: [Int32], column: [Int32], like grid: Shape) -> Tensor {
    let (n, h, w, c) = (shape[0], shape[1], shape[2], shape[3])
    let (height, width) = (grid[1], grid[2])
    var index = [Int32](repeating: -1, count: n * height * width)
    for place in row.indices where row[place] >= 0 && column[place] >= 0 {
      let image = Int32(place / (height * width))
      index[place] = (image * Int32(h) + row[place]) * Int32(w) + column[place]
    }
    return reshaped([n * h * w, c]).picked(axis: 0, index).reshaped([n, height, width, c])
  }
}

/// Where places lie along one axis of a map.
private struct GridAxis {
  /// Places around each, with their weights (nil: 1).
  typealias Tap = (index: [Int32], weight: Tensor?)

  /// In units of the axis' places, `[N, h, w, 1]`.
  private let position: Tensor
  private let extent: Int
  private let border: GridBorder
  private let alignsCorners: Bool

  init(_ places: Tensor, extent: Int, border: GridBorder, alignsCorners: Bool) {
    (self.extent, self.border, self.alignsCorners) = (extent, border, alignsCorners)
    let half = Float(alignsCorners ? extent - 1 : extent) / 2
    position = half * places + (alignsCorners ? half : half - 0.5)
  }

  func taps(_ interpolation: GridInterpolation) -> [Tap] {
    switch interpolation {
    case .nearest:
      return [(index(rounded(inside, .toNearestOrEven)), nil)]
    case .linear:
      let place = inside
      let low = rounded(place, .down)
      let fraction = place + -1 * low
      return [
        (index(low), -1 * fraction + 1), (index(low, plus: 1), fraction),
      ]
    case .cubic:
      // Beyond the edges each of the places is brought back, not what lies between.
      let low = rounded(position, .down)
      let fraction = position + -1 * low
      return (-1...2).map { step in
        let distance = step <= 0 ? fraction + Float(-step) : -1 * fraction + Float(step)
        return (
          index(low, plus: step, isBounded: true), Self.cubic(distance, isNear: 0...1 ~= step)
        )
      }
    }
  }

  /// Keys' kernel with a = -0.75 at distances from 0 to 1, or from 1 to 2.
  private static func cubic(_ x: Tensor, isNear: Bool) -> Tensor {
    let a: Float = -0.75
    if isNear { return ((a + 2) * x + -(a + 3)) * x * x + 1 }
    return a * (((x + -5) * x + 8) * x + -4)
  }

  /// The position brought back into the map, as far as the border asks for that.
  private var inside: Tensor {
    switch border {
    case .zeros: position
    case .border: position.clamped(from: 0, to: Float(extent - 1))
    case .reflection: reflected.clamped(from: 0, to: Float(extent - 1))
    }
  }

  private var reflected: Tensor {
    position * position.stepwise { reflection($0).scale }
      + position.stepwise { reflection($0).shift }
  }

  /// What a position is multiplied by and moved by when it is mirrored at the edges.
  private func reflection(_ position: Float) -> (scale: Float, shift: Float) {
    let low: Float = alignsCorners ? 0 : -0.5
    let span = Float(alignsCorners ? extent - 1 : extent)
    guard span > 0, position.isFinite else { return (0, 0) }
    let distance = abs(position - low)
    let flips = (distance / span).rounded(.down)
    let sign: Float = position < low ? -1 : 1
    // distance = sign (position - low); the rest of it beyond whole spans, or what is left of the last.
    return flips.truncatingRemainder(dividingBy: 2) == 0
      ? (sign, -sign * low - flips * span + low) : (-sign, sign * low + (flips + 1) * span + low)
  }

  private func rounded(_ value: Tensor, _ rule: FloatingPointRoundingRule) -> Tensor {
    value.stepwise { $0.isFinite ? $0.rounded(rule) : 0 }
  }

  /// The places of a tensor of whole numbers; -1 for what lies beyond the map.
  private func index(_ whole: Tensor, plus step: Int = 0, isBounded: Bool = false) -> [Int32] {
    whole.withValues { values in
      values.map { value in
        var place = value + Float(step)
        if isBounded, border != .zeros {
          if border == .reflection {
            let (scale, shift) = reflection(place)
            place = place * scale + shift
          }
          place = min(max(place, 0), Float(extent - 1))
        }
        return place >= 0 && place < Float(extent) ? Int32(place) : -1
      }
    }
  }
}
