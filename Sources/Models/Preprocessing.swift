/// How images are prepared for a model: resize, centre crop, scale to 0...1, then
/// `(x - mean) / std` for each channel.
public struct Preprocessing: Codable, Sendable, Equatable {
  /// What happens to an image of another size.
  public enum Resize: Codable, Sendable, Equatable {
    /// The short edge to `floor(size / fraction)`, then a centre crop (timm's `crop_pct`).
    case cropFraction(Double)
    /// The short edge to so many pixels, then a centre crop.
    case shortEdge(Int)
    /// Straight to the input size, without keeping the aspect.
    case squash
    /// Both edges to `floor(size / fraction)`, without keeping the aspect, then a centre crop (timm's
    /// `crop_mode` squash).
    case squashFraction(Double)
    /// Both edges to so many pixels, without keeping the aspect, then a centre crop.
    case squashTo(Int)
    /// The long edge to `floor(size / fraction)`, then a centre crop, the mean where there is no image
    /// (timm's `crop_mode` border).
    case border(Double)
    /// A centre crop alone.
    case crop
    /// Nothing: images must have the input size.
    case none
  }

  /// How pixels between pixels are computed, in Pillow's terms.
  public enum Interpolation: String, Codable, Sendable, CaseIterable {
    case nearest, box, bilinear, hamming, bicubic, lanczos
  }

  /// The size of the input in pixels.
  public var size: Extents
  /// What happens to an image of another size.
  public var resize: Resize
  /// How pixels between pixels are computed.
  public var interpolation: Interpolation
  /// Subtracted from each channel in 0...1.
  public var mean: [Double]
  /// What each channel is then divided by.
  public var std: [Double]
  /// Whether an odd number of rows or columns is cut as Hugging Face's image processors do it, the smaller
  /// half first; else as torchvision and timm do.
  public var cropsDown = false
  /// Colour channels: 3, or 1 for grey.
  public var channels: Int { mean.count }

  /// Preprocessing made of its parts.
  public init(
    size: Extents, resize: Resize, interpolation: Interpolation, mean: [Double], std: [Double]
  ) {
    self.size = size
    self.resize = resize
    self.interpolation = interpolation
    self.mean = mean
    self.std = std
  }

  /// Mean of ImageNet's channels.
  public static let imageNetMean = [0.485, 0.456, 0.406]
  /// Standard deviation of ImageNet's channels.
  public static let imageNetStd = [0.229, 0.224, 0.225]

  /// ImageNet's statistics, with a centre crop.
  public static func imageNet(
    _ size: Int, crop: Double, _ interpolation: Interpolation = .bicubic
  ) -> Preprocessing {
    Preprocessing(
      size: Extents(size), resize: crop == 1 ? .shortEdge(size) : .cropFraction(crop),
      interpolation: interpolation, mean: imageNetMean, std: imageNetStd)
  }

  /// Mean and deviation 0.5 ("Inception"), with a centre crop.
  public static func half(_ size: Int, crop: Double) -> Preprocessing {
    var result = imageNet(size, crop: crop)
    result.mean = [0.5, 0.5, 0.5]
    result.std = [0.5, 0.5, 0.5]
    return result
  }

  /// Images of the input size already, with ImageNet's statistics.
  public static func asIs(_ size: Extents, channels: Int) -> Preprocessing {
    Preprocessing(
      size: size, resize: .none, interpolation: .bicubic,
      mean: channels == 3 ? imageNetMean : [Double](repeating: 0.5, count: channels),
      std: channels == 3 ? imageNetStd : [Double](repeating: 0.5, count: channels))
  }

  /// Where nothing says more: images as they are if they are small, of another number of channels than 3, or no
  /// squares; else the preparation given.
  static func assumed(_ size: Extents, channels: Int, _ usual: Preprocessing) -> Preprocessing {
    size.side < 96 || channels != 3 || !size.isSquare ? .asIs(size, channels: channels) : usual
  }

  /// CIFAR-100 as in Park and Kim's published models (xxxnell/how-do-vits-work).
  public static let cifar100 = Preprocessing(
    size: 32, resize: .none, interpolation: .bicubic, mean: [0.5071, 0.4867, 0.4408],
    std: [0.2675, 0.2565, 0.2761])
}
