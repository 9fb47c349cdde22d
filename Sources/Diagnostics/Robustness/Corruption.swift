import Glibc
import Tensors

/// A common corruption of images in the manner of Hendrycks and Dietterich (ICLR 2019), defined on samples in
/// `0...1` at the size of the network's input: a function of the image, its name and a seed, on every machine.
public struct Corruption: Sendable, Codable, Hashable {
  /// What is done.
  public enum Kind: String, Sendable, Codable, CaseIterable {
    /// Normal noise.
    case gaussianNoise = "gaussian_noise"
    /// Photons: a Poisson number of them for each sample.
    case shotNoise = "shot_noise"
    /// Samples that become 0 or 1.
    case impulseNoise = "impulse_noise"
    /// The mean over a disk.
    case defocusBlur = "defocus_blur"
    /// The mean along a line, as of a camera that moves.
    case motionBlur = "motion_blur"
    /// The mean over enlargements about the middle, as of a camera that comes nearer.
    case zoomBlur = "zoom_blur"
    /// A number added to all samples.
    case brightness
    /// The distance from the mean of the channel made smaller.
    case contrast
    /// The distance from the grey of the place made smaller, then larger.
    case saturation
    /// The mean over blocks.
    case pixelate
    /// Compression by libjpeg.
    case jpegCompression = "jpeg_compression"
    /// A grey square somewhere.
    case occlusion

    /// What its size is at each severity from 1 to 5; see the documentation for what it is of.
    var sizes: [Double] {
      switch self {
      case .gaussianNoise: [0.08, 0.12, 0.18, 0.26, 0.38]
      case .shotNoise: [60, 25, 12, 5, 3]
      case .impulseNoise: [0.03, 0.06, 0.09, 0.17, 0.27]
      case .defocusBlur: [3.0 / 224, 4.0 / 224, 6.0 / 224, 8.0 / 224, 10.0 / 224]
      case .motionBlur: [3.0 / 224, 5.0 / 224, 8.0 / 224, 12.0 / 224, 15.0 / 224]
      case .zoomBlur: [1.1, 1.15, 1.2, 1.25, 1.3]
      case .brightness: [0.1, 0.2, 0.3, 0.4, 0.5]
      case .contrast: [0.4, 0.3, 0.2, 0.1, 0.05]
      case .saturation: [0.5, 0.25, 0, 3, 6]
      case .pixelate: [0.6, 0.5, 0.4, 0.3, 0.25]
      case .jpegCompression: [25, 18, 15, 10, 7]
      case .occlusion: [0.2, 0.3, 0.4, 0.5, 0.6]
      }
    }
  }

  /// What is done.
  public let kind: Kind
  /// How much, from 1 to 5.
  public let severity: Int

  /// A corruption.
  ///
  /// - Precondition: the severity is in `1...5`.
  public init(_ kind: Kind, severity: Int) {
    precondition((1...5).contains(severity), "severity \(severity)")
    (self.kind, self.severity) = (kind, severity)
  }

  /// Corrupts an image; samples stay in `0...1`.
  ///
  /// - Parameters:
  ///   - image: `[height, width, channels]`.
  ///   - id: the image's name; random numbers depend on it, the kind and the seed, and not on the severity.
  public func apply(
    to image: inout [Double], height: Int, width: Int, channels: Int, id: String, seed: UInt64
  ) {
    precondition(image.count == height * width * channels, "An image of another size")
    let size = kind.sizes[severity - 1]
    let random = CounterRandom(seed: seed, purpose: "\(kind.rawValue) of \(id)")
    switch kind {
    case .gaussianNoise:
      for (index, number) in random.normals(image.count).enumerated() {
        image[index] += size * number
      }
    case .shotNoise:
      for index in image.indices {
        let mean = size * min(max(image[index], 0), 1)
        image[index] = Self.poisson(mean, random.uniform(at: UInt64(index))) / size
      }
    case .impulseNoise:
      for index in image.indices {
        let number = random.uniform(at: UInt64(index))
        if number < size / 2 { image[index] = 0 } else if number < size { image[index] = 1 }
      }
    case .defocusBlur:
      ImageBlur(height: height, width: width, channels: channels)
        .disk(&image, radius: size * Double(max(height, width)))
    case .motionBlur:
      // Between 45 degrees down and 45 degrees up.
      let angle = (random.uniform(at: 0) - 0.5) * Double.pi / 2
      ImageBlur(height: height, width: width, channels: channels)
        .line(&image, deviation: size * Double(max(height, width)), angle: angle)
    case .zoomBlur:
      ImageBlur(height: height, width: width, channels: channels).zoom(&image, upTo: size)
    case .brightness: for index in image.indices { image[index] += size }
    case .contrast:
      for channel in 0..<channels {
        let places = stride(from: channel, to: image.count, by: channels)
        let mean = places.reduce(0) { $0 + image[$1] } / Double(height * width)
        for place in places { image[place] = mean + size * (image[place] - mean) }
      }
    case .saturation:
      guard channels == 3 else { break }
      for start in stride(from: 0, to: image.count, by: 3) {
        let grey = 0.299 * image[start] + 0.587 * image[start + 1] + 0.114 * image[start + 2]
        for index in start..<(start + 3) { image[index] = grey + size * (image[index] - grey) }
      }
    case .pixelate:
      ImageBlur(height: height, width: width, channels: channels).blocks(
        &image, rows: Self.share(height, size), columns: Self.share(width, size))
    case .jpegCompression:
      JPEGCompression(quality: Int(size))
        .apply(to: &image, height: height, width: width, channels: channels)
    case .occlusion:
      let (rows, columns) = (Self.share(height, size), Self.share(width, size))
      let top = random.integer(below: height - rows + 1, at: 0)
      let left = random.integer(below: width - columns + 1, at: 1)
      for row in top..<(top + rows) {
        for index in ((row * width + left) * channels)..<((row * width + left + columns) * channels)
        { image[index] = 0.5 }
      }
    }
    for index in image.indices { image[index] = min(max(image[index], 0), 1) }
  }

  /// A share of a length in pixels, at least one.
  private static func share(_ length: Int, _ share: Double) -> Int {
    min(length, max(1, Int((Double(length) * share).rounded())))
  }

  /// The Poisson number that a uniform number is, by inversion.
  static func poisson(_ mean: Double, _ uniform: Double) -> Double {
    var (count, term) = (0.0, exp(-mean))
    var sum = term
    // Beyond this, a term no longer changes the sum.
    while uniform > sum, count < 1000 {
      count += 1
      term *= mean / count
      sum += term
    }
    return count
  }
}
