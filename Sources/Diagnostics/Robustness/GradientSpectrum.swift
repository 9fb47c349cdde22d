import Tensors

/// Which frequencies a network is sensitive to: the share of the power of the loss's gradient by the input that
/// lies in each square ring `max(|ky|, |kx|) = k` of the plane, image by image.
struct GradientSpectrum {
  /// The side of the images.
  let side: Int
  /// Rings: from the constant to the highest frequency.
  var ringCount: Int { Self.ringCount(side: side) }

  static func ringCount(side: Int) -> Int { side / 2 + 1 }

  /// How many numbers ``measures(_:)`` gives.
  static func measureCount(side: Int) -> Int { 2 + 2 * ringCount(side: side) }

  /// How many frequencies of the plane a ring holds.
  func frequencies(_ ring: Int) -> Int {
    func square(_ most: Int) -> Int {
      most < 0 ? 0 : min(side, 2 * most + 1) * min(side, 2 * most + 1)
    }
    return square(ring) - square(ring - 1)
  }

  /// What a minibatch has: images whose gradient is not zero, the sum over them of its mean square, then the sums
  /// of each ring's share, and of its square.
  ///
  /// - Parameter gradients: `[N, side, side, channels]`.
  func measures(_ gradients: Tensor) -> [Double] {
    let (images, channels) = (gradients.shape[0], gradients.shape.last)
    let (size, half) = (side * side * channels, side / 2 + 1)
    precondition(gradients.shape.count == images * size, "Gradients of another size")
    var (counted, square) = (0.0, 0.0)
    var (sums, squares) = (
      [Double](repeating: 0, count: ringCount), [Double](repeating: 0, count: ringCount)
    )
    let spectrum = ScratchMemory(.result, 2 * side * half * channels)
    let signal = ScratchMemory(.operand, size)
    gradients.withValues { values in
      for image in 0..<images {
        for index in 0..<size { signal.pointer[index] = values[image * size + index] }
        FourierPlans.transform(
          signal.pointer, extents: [side, side], channels: channels, into: spectrum.pointer)
        var powers = [Double](repeating: 0, count: ringCount)
        for ky in 0..<side {
          for kx in 0..<half {
            let start = (ky * half + kx) * channels * 2
            let power = (start..<(start + 2 * channels)).reduce(0.0) {
              $0 + Double(spectrum.pointer[$1]) * Double(spectrum.pointer[$1])
            }
            // The other half of the plane is conjugate.
            let isAlone = kx == 0 || 2 * kx == side
            powers[max(min(ky, side - ky), kx)] += isAlone ? power : 2 * power
          }
        }
        let total = powers.reduce(0, +)
        // Without a label, or where the loss is flat, there is no direction; one that overflows shows.
        guard total != 0 else { continue }
        counted += 1
        square += total / Double(side * side) / Double(size)
        for (ring, power) in powers.enumerated() {
          sums[ring] += power / total
          squares[ring] += power / total * (power / total)
        }
      }
    }
    return [counted, square] + sums + squares
  }
}

/// The spectrum of the gradient over all images.
struct MeanGradientSpectrum {
  /// One ring.
  struct Ring {
    /// In units of π radians a pixel.
    let frequency: Double
    /// Frequencies of the plane that it holds.
    let frequencies: Int
    /// The mean share of the power; nil where gradients are not finite, or there are none.
    let share: Double?
    /// Its 95 % interval over images; nil for a single one.
    let interval: ClosedRange<Double>?
    /// The share over that of white noise.
    let overWhite: Double?
  }

  /// From the constant up.
  let rings: [Ring]
  /// Images whose gradient is not zero.
  let images: Int
  /// The root of the mean square of the gradient's values.
  let rootMeanSquare: Double?

  /// - Parameters:
  ///   - measures: of each minibatch.
  init(_ measures: [[Double]], _ spectrum: GradientSpectrum) {
    let count = spectrum.ringCount
    let sums = (0..<(2 + 2 * count)).map { place in measures.reduce(0) { $0 + $1[place] } }
    let n = sums[0]
    images = Int(n)
    rootMeanSquare = n > 0 && sums[1].isFinite ? (sums[1] / n).squareRoot() : nil
    rings = (0..<count).map { ring in
      let frequencies = spectrum.frequencies(ring)
      let share = sums[2 + ring] / n
      let isKnown = n > 0 && share.isFinite
      let deviations = max(0, sums[2 + count + ring] - n * share * share)
      let half = ImageMoments.halfWidth * (deviations / (n - 1) / n).squareRoot()
      return Ring(
        frequency: 2 * Double(ring) / Double(spectrum.side), frequencies: frequencies,
        share: isKnown ? share : nil,
        interval: isKnown && n > 1 ? max(0, share - half)...min(1, share + half) : nil,
        overWhite: isKnown
          ? share * Double(spectrum.side * spectrum.side) / Double(frequencies) : nil)
    }
  }
}
