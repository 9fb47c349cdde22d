import Tensors

/// Noise whose Fourier spectrum is a square ring (Park and Kim, ICLR 2022, figure 2b; their `FreqAttack`): the
/// spectrum of white noise is multiplied by a mask and transformed back.
public struct FrequencyNoise: Sendable, Codable, Hashable {
  /// Which frequencies a ring holds.
  public enum Mask: String, Sendable, Codable, CaseIterable {
    /// As the authors' code: offsets `-W/2 ..< W/2`, which are not symmetric, with the imaginary part of
    /// the result left out. The same as a symmetric mask of 1 and, at the rim, 1/2.
    case hdvw
    /// `W2/2 <= max(|ky|, |kx|) <= W1/2`: real noise without anything left out.
    case symmetric
  }

  /// What is done to the size of the noise after masking.
  public enum Renormalization: String, Sendable, Codable, CaseIterable {
    /// Nothing: a ring that holds few frequencies leaves little noise.
    case none
    /// The noise of each image is scaled to a root mean square of the amplitude.
    case rms
  }

  /// Which frequencies a ring holds.
  public var mask = Mask.hdvw
  /// What is done to the size of the noise after masking.
  public var renormalization = Renormalization.none
  /// The size of the white noise, in units of normalised inputs.
  public var amplitude = 0.7
  /// Whether white noise is plus or minus the amplitude; otherwise normal with that deviation.
  public var isSign = true
  /// Half the width of a ring, in radians a pixel.
  public var halfWidth = 0.2
  /// Seed of the white noise.
  public var seed: UInt64 = 0

  /// The noise of the authors' figure.
  public init() {}

  /// The widths of the squares whose difference a ring is: `W1 = 2 floor((f + s) n / 2π)` and
  /// `W2 = 2 floor((f - s) n / 2π)`, within `0...n`.
  ///
  /// - Parameters:
  ///   - frequency: the middle of the ring, in units of π radians a pixel.
  ///   - side: of the image, in pixels.
  func widths(_ frequency: Double, side: Int) -> (outer: Int, inner: Int) {
    func width(_ frequency: Double) -> Int {
      let half = (frequency * Double(side) / (2 * Double.pi)).rounded(.down)
      return min(max(2 * Int(max(-1, min(half, Double(side)))), 0), side)
    }
    let middle = frequency * Double.pi
    return (width(middle + halfWidth), width(middle - halfWidth))
  }

  /// What the amplitude at each frequency is multiplied by: `[side, side]`, rows of ky from 0 up and on from
  /// the negative ones, as a transform has them; `w(k) = w(-k)`.
  ///
  /// - Parameters:
  ///   - frequency: the middle of the ring, in units of π radians a pixel.
  ///   - side: of the image, in pixels.
  public func ring(_ frequency: Double, side: Int) -> [Double] {
    let (outer, inner) = widths(frequency, side: side)
    /// From -n/2 up, as a transform that is rolled by n/2 has them.
    func offset(_ place: Int) -> Int { place < side - side / 2 ? place : place - side }
    func mask(_ ky: Int, _ kx: Int) -> Double {
      let (ky, kx) = (offset(ky), offset(kx))
      switch self.mask {
      case .symmetric:
        let most = 2 * max(abs(ky), abs(kx))
        return most >= inner && most <= outer ? 1 : 0
      case .hdvw:
        func isInside(_ width: Int) -> Bool {
          let first = (side - width) / 2 - side / 2
          return (first..<(first + width)).contains(ky) && (first..<(first + width)).contains(kx)
        }
        return (isInside(outer) ? 1 : 0) - (isInside(inner) ? 1 : 0)
      }
    }
    var weights = [Double](repeating: 0, count: side * side)
    for ky in 0..<side {
      for kx in 0..<side {
        let other = mask((side - ky) % side, (side - kx) % side)
        weights[ky * side + kx] = (mask(ky, kx) + other) / 2
      }
    }
    return weights
  }

  /// The white noise of an image, `[side, side, channels]`: a function of the seed and the image's name, the
  /// same for all frequencies and all models of that input.
  func white(id: String, side: Int, channels: Int) -> [Double] {
    let random = CounterRandom(seed: seed, purpose: "frequency noise of \(id)")
    let count = side * side * channels
    return (isSign ? random.signs(count) : random.normals(count)).map { amplitude * $0 }
  }

  /// Adds the noise of an image to it.
  ///
  /// - Parameters:
  ///   - ring: see ``ring(_:side:)``.
  ///   - image: `[side, side, channels]`.
  ///   - id: the image's name.
  /// - Returns: the mean square of what was added.
  public func add(
    _ ring: [Double], to image: UnsafeMutableBufferPointer<Float>, id: String, side: Int,
    channels: Int
  ) -> Double {
    let count = side * side * channels
    precondition(image.count == count, "An image of \(side) x \(side) x \(channels) values")
    var noise = white(id: id, side: side, channels: channels)
    filter(&noise, by: ring, side: side, channels: channels)
    var square = noise.reduce(0) { $0 + $1 * $1 } / Double(count)
    if renormalization == .rms, square > 0 {
      let scale = amplitude / square.squareRoot()
      for index in noise.indices { noise[index] *= scale }
      square = amplitude * amplitude
    }
    for index in noise.indices { image[index] += Float(noise[index]) }
    return square
  }

  /// Multiplies the spectrum of each channel.
  func filter(_ x: inout [Double], by weights: [Double], side: Int, channels: Int) {
    let half = side / 2 + 1
    let spectrum = ScratchMemory(.result, 2 * side * half * channels)
    let signal = ScratchMemory(.operand, x.count)
    let (z, y) = (spectrum.pointer, signal.pointer)
    for index in x.indices { y[index] = Float(x[index]) }
    FourierPlans.transform(y, extents: [side, side], channels: channels, into: z)
    for ky in 0..<side {
      for kx in 0..<half {
        let weight = Float(weights[ky * side + kx] / Double(side * side))
        let start = (ky * half + kx) * channels * 2
        for index in start..<(start + 2 * channels) { z[index] *= weight }
      }
    }
    FourierPlans.inverse(z, extents: [side, side], channels: channels, into: y)
    for index in x.indices { x[index] = Double(y[index]) }
  }
}
