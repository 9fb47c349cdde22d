import Checkpoints
import StrictJSON

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

  /// CIFAR-100 as in Park and Kim's published models (xxxnell/how-do-vits-work).
  public static let cifar100 = Preprocessing(
    size: 32, resize: .none, interpolation: .bicubic, mean: [0.5071, 0.4867, 0.4408],
    std: [0.2675, 0.2565, 0.2761])
}

extension Preprocessing {
  /// What a checkpoint says about itself: `preprocessing` of our own metadata, `pretrained_cfg` of
  /// timm's `config.json`, or `preprocessor_config.json`; nil if it says nothing.
  ///
  /// - Parameters:
  ///   - fallback: for what the settings leave out.
  public init?(of checkpoint: Checkpoint, fallback: Preprocessing) {
    if let text = checkpoint.metadata["preprocessing"],
      let json = try? JSONValue(parsing: Array(text.utf8), limits: JSONLimits(bytes: 1 << 20)),
      let own = Preprocessing(pretrained: json, fallback: fallback)
    {
      self = own
    } else if let json = checkpoint.config?["pretrained_cfg"] ?? checkpoint.config,
      let timm = Preprocessing(pretrained: json, fallback: fallback)
    {
      self = timm
    } else if let json = checkpoint.preprocessorConfig,
      let processor = Preprocessing(processor: json, fallback: fallback)
    {
      self = processor
    } else {
      return nil
    }
  }

  /// timm's `pretrained_cfg`: `input_size`, `crop_pct`, `crop_mode`, `interpolation`, `mean`, `std`.
  init?(pretrained json: JSONValue, fallback: Preprocessing) {
    guard json["mean"] != nil || json["input_size"] != nil || json["crop_pct"] != nil else {
      return nil
    }
    self = fallback
    if let size = json["input_size"]?.arrayValue?.last?.intValue, size > 0 {
      self.size = Extents(size)
    }
    if let crop = json["crop_pct"]?.doubleValue, crop > 0 { resize = .cropFraction(crop) }
    switch json["crop_mode"]?.stringValue {
    case "squash": resize = .squash
    case "none": resize = .none
    default: break
    }
    if let name = json["interpolation"]?.stringValue {
      interpolation = Interpolation(rawValue: name) ?? .bicubic
    }
    mean = json["mean"]?.statistics ?? mean
    std = json["std"]?.statistics ?? std
  }

  /// Hugging Face's `preprocessor_config.json`.
  init?(processor json: JSONValue, fallback: Preprocessing) {
    guard json["image_mean"] != nil || json["size"] != nil else { return nil }
    self = fallback
    mean = json["image_mean"]?.statistics ?? mean
    std = json["image_std"]?.statistics ?? std
    // Pillow's numbers.
    let resamplings: [Interpolation] = [.nearest, .lanczos, .bilinear, .bicubic, .box, .hamming]
    if let code = json["resample"]?.intValue, resamplings.indices.contains(code) {
      interpolation = resamplings[code]
    }
    let given = json["size"]
    let edge = given?["shortest_edge"]?.intValue
    let side = given?["height"]?.intValue ?? given?.intValue
    let crop = json["crop_size"]?["height"]?.intValue ?? json["crop_size"]?.intValue
    let crops = json["do_center_crop"]?.boolValue ?? (crop != nil && edge != nil)
    let resizes = json["do_resize"]?.boolValue ?? true
    if let fraction = json["crop_pct"]?.doubleValue, fraction > 0, let edge = edge ?? side {
      size = Extents(edge)
      resize = edge < 384 ? .cropFraction(fraction) : .squash
    } else if let edge, edge > 0 {
      size = Extents(crops ? crop ?? edge : edge)
      resize = .shortEdge(edge)
    } else if let side, side > 0 {
      size = Extents(crops ? crop ?? side : side)
      resize = crops && size.side != side ? .shortEdge(side) : .squash
    }
    if !resizes { resize = .none }
  }
}

extension JSONValue {
  /// Positive or zero numbers, one a channel.
  fileprivate var statistics: [Double]? {
    guard let values = arrayValue?.compactMap(\.doubleValue), !values.isEmpty,
      values.count == arrayValue?.count, values.allSatisfy(\.isFinite)
    else { return nil }
    return values
  }
}
