import Glibc
import Tensors

/// Noise of one frequency of the plane (Yin et al., NeurIPS 2019, the Fourier heat map): `r v U`, U the real wave
/// of length 1 whose transform is zero but at (ky, kx) and its conjugate, r a sign for each channel of an image.
public struct FourierBasisNoise: Sendable, Codable, Hashable {
  /// What has the length v.
  public enum Scale: String, Sendable, Codable, CaseIterable {
    /// The change of each channel, as the authors' definition has it: of C channels it is v √C in all.
    case channel
    /// The change of the image as a whole.
    case image
  }

  /// A frequency of the plane: waves over the height and the width of the image.
  public struct Frequency: Sendable, Codable, Hashable {
    /// Waves from top to bottom.
    public let ky: Int
    /// Waves from left to right.
    public let kx: Int

    /// A frequency.
    public init(ky: Int, kx: Int) { (self.ky, self.kx) = (ky, kx) }
  }

  /// The length v, in units of samples in `0...1`: the authors take 4 for inputs of 32 pixels and 15.7 for those
  /// of ImageNet.
  public var length = 4.0
  /// What has that length.
  public var scale = Scale.channel
  /// Seed of the signs.
  public var seed: UInt64 = 0

  /// Noise of length 4 in each channel.
  public init() {}

  /// The frequencies of a square of the plane, of each conjugate pair one.
  ///
  /// - Parameter size: frequencies a side, an odd number.
  public static func frequencies(size: Int) -> [Frequency] {
    let most = size / 2
    return (0...most).flatMap { ky in
      (-most...most).compactMap { kx in
        ky > 0 || kx >= 0 ? Frequency(ky: ky, kx: kx) : nil
      }
    }
  }

  /// The wave of a frequency, `[side, side]`, of length 1.
  public func wave(_ frequency: Frequency, side: Int) -> [Double] {
    let unit = 2 * Double.pi / Double(side)
    var wave = (0..<side * side).map { place in
      let turns = (frequency.ky * (place / side) + frequency.kx * (place % side)) % side
      return cos(unit * Double(turns))
    }
    let norm = wave.reduce(0) { $0 + $1 * $1 }.squareRoot()
    for place in wave.indices { wave[place] /= norm }
    return wave
  }

  /// Adds the noise to a normalised image.
  ///
  /// - Parameters:
  ///   - wave: see ``wave(_:side:)``.
  ///   - image: `[side, side, channels]`.
  ///   - id: the image's name; signs depend on it and the seed, and not on the frequency.
  ///   - deviations: by which the samples of each channel were divided.
  /// - Returns: the mean square of the change of normalised values.
  public func add(
    _ wave: [Double], to image: UnsafeMutableBufferPointer<Float>, id: String,
    deviations: [Double]
  ) -> Double {
    let channels = deviations.count
    precondition(image.count == wave.count * channels, "An image of another size")
    let random = CounterRandom(seed: seed, purpose: "Fourier basis of \(id)")
    let own = scale == .channel ? length : length / Double(channels).squareRoot()
    var square = 0.0
    for channel in 0..<channels {
      let factor = own * random.sign(at: UInt64(channel)) / deviations[channel]
      for place in wave.indices {
        image[place * channels + channel] += Float(factor * wave[place])
        square += factor * factor * wave[place] * wave[place]
      }
    }
    return square / Double(max(1, image.count))
  }
}
