import CImageCodecs

/// From a decoded image to the values a model takes: resize, centre crop, normalise.
///
/// The steps and their rounding are those of torchvision and timm on Pillow images:
/// 1. colour: grey is copied to three channels, or colour reduced to luma, as `mean.count` says;
/// 2. resize as `resize` says, by `interpolation`;
/// 3. centre crop to `crop`; an image smaller than that is padded with `border`, before normalising;
/// 4. `(value / 255 - mean) / std`, in Float32.
public struct ImageTransform: Codable, Sendable, Hashable {
  /// The size an image is brought to before cropping.
  public enum Resize: Codable, Sendable, Hashable {
    /// The image keeps its size.
    case none
    /// The shorter edge becomes this long, the longer one trunc(edge * long / short).
    case shortEdge(Int)
    /// The longer edge becomes this long, the shorter one round(edge * short / long), halves to even.
    case longEdge(Int)
    /// Both edges are set; the aspect is not kept.
    case exact(height: Int, width: Int)
  }

  /// Rows and columns.
  public struct Size: Codable, Sendable, Hashable {
    /// Rows.
    public var height: Int
    /// Columns.
    public var width: Int

    /// Creates a size.
    public init(height: Int, width: Int) {
      self.height = height
      self.width = width
    }

    /// A square.
    public init(_ side: Int) { self.init(height: side, width: side) }
  }

  /// Where a centre crop begins when an odd number of rows or columns goes, and where an image lies in a
  /// frame that is larger by an odd number.
  public enum CropRounding: String, Codable, Sendable, Hashable {
    /// round((size - crop) / 2), halves to even; floor((frame - size) / 2): torchvision and timm.
    case halfToEven
    /// floor((size - crop) / 2); ceil((frame - size) / 2): Hugging Face image processors.
    case down
  }

  /// The size before cropping.
  public var resize: Resize
  /// The centre crop; nil keeps the resized image whole.
  public var crop: Size?
  /// Where the crop begins.
  public var cropRounding: CropRounding
  /// The filter of the resize.
  public var interpolation: Interpolation
  /// Means of the channels, in units of full scale (0...1), which also sets the number of channels: 3, 1 for grey; others
  /// take arrays of normalised values alone.
  public var mean: [Float]
  /// Standard deviations of the channels, likewise.
  public var std: [Float]
  /// What stands around an image that is smaller than the crop, a value a channel; nil for black.
  public var border: [UInt8]?

  /// The ImageNet means.
  public static let imageNetMean: [Float] = [0.485, 0.456, 0.406]
  /// The ImageNet standard deviations.
  public static let imageNetStd: [Float] = [0.229, 0.224, 0.225]

  /// Creates a transform. Settings are checked when it is used, or by `validate()`.
  public init(
    resize: Resize, crop: Size?, cropRounding: CropRounding = .halfToEven,
    interpolation: Interpolation = .bicubic, mean: [Float] = ImageTransform.imageNetMean,
    std: [Float] = ImageTransform.imageNetStd, border: [UInt8]? = nil
  ) {
    self.border = border
    self.resize = resize
    self.crop = crop
    self.cropRounding = cropRounding
    self.interpolation = interpolation
    self.mean = mean
    self.std = std
  }

  /// The usual evaluation of timm: the short edge becomes floor(imageSize / cropFraction), then a
  /// square of `imageSize` is cut from the centre. A fraction above 1 leads to black borders.
  ///
  /// - Throws: `setting` if the fraction is not a number in 0.01...100.
  public static func cropping(
    imageSize: Int, cropFraction: Double, interpolation: Interpolation, mean: [Float], std: [Float]
  ) throws(ImageDataError) -> ImageTransform {
    guard (0.01...100).contains(cropFraction) else {
      throw setting("crop fraction \(cropFraction)", "0.01 to 100")
    }
    guard sides.contains(imageSize) else { throw setting("image size \(imageSize)", sidesText) }
    let edge = (Double(imageSize) / cropFraction).rounded(.down)
    let transform = ImageTransform(
      resize: .shortEdge(Int(edge)), crop: Size(imageSize), interpolation: interpolation,
      mean: mean, std: std)
    try transform.validate()
    return transform
  }

  /// Channels of the output.
  public var channels: Int { mean.count }

  /// The size that every output has, or nil if it depends on the image.
  public var fixedOutputSize: Size? {
    if let crop { return crop }
    if case .exact(let height, let width) = resize { return Size(height: height, width: width) }
    return nil
  }

  /// The output's size for an image of the given size. Valid settings are assumed.
  public func outputSize(width: Int, height: Int) -> Size {
    crop ?? resizedSize(width: width, height: height)
  }

  func resizedSize(width: Int, height: Int) -> Size {
    switch resize {
    case .none: Size(height: height, width: width)
    case .exact(let height, let width): Size(height: height, width: width)
    case .shortEdge(let edge):
      width <= height
        ? Size(height: edge * height / width, width: edge)
        : Size(height: edge, width: edge * width / height)
    case .longEdge(let edge):
      longEdgeSize(edge, width: width, height: height)
    }
  }

  /// Each edge over the ratio of the longer one to `edge`, as timm's `ResizeKeepRatio` rounds it.
  private func longEdgeSize(_ edge: Int, width: Int, height: Int) -> Size {
    let ratio = max(Double(width) / Double(edge), Double(height) / Double(edge))
    func side(_ length: Int) -> Int {
      Int((Double(length) / ratio).rounded(.toNearestOrEven))
    }
    return Size(height: side(height), width: side(width))
  }

  /// Checks the settings.
  ///
  /// - Throws: `setting`, naming the one that is out of range.
  public func validate() throws(ImageDataError) {
    let sides = ImageTransform.sides
    switch resize {
    case .none: break
    case .shortEdge(let edge) where sides.contains(edge): break
    case .longEdge(let edge) where sides.contains(edge): break
    case .exact(let height, let width) where sides.contains(height) && sides.contains(width): break
    default: throw ImageTransform.setting("resize to \(resize)", ImageTransform.sidesText)
    }
    if let crop, !sides.contains(crop.height) || !sides.contains(crop.width) {
      throw ImageTransform.setting(
        "crop to \(crop.height) x \(crop.width)", ImageTransform.sidesText)
    }
    guard ArrayImages.channelCounts.contains(mean.count), std.count == mean.count else {
      throw ImageTransform.setting(
        "\(mean.count) means and \(std.count) standard deviations",
        "one of each a channel, of which there are \(ArrayImages.channelCounts)")
    }
    if let border, border.count != mean.count {
      throw ImageTransform.setting("\(border.count) values of a border", "one a channel")
    }
    guard mean.allSatisfy(\.isFinite), std.allSatisfy({ $0.isFinite && $0 > 0 }) else {
      throw ImageTransform.setting(
        "mean \(mean), std \(std)", "finite means and positive standard deviations")
    }
  }

  private static let sides = 1...65_535
  private static let sidesText = "1 to 65535 pixels"

  private static func setting(_ found: String, _ expected: String) -> ImageDataError {
    ImageDataError(
      .setting, file: "", place: "image transform", found: found, expected: expected)
  }
}

extension ImageTransform {
  /// Transforms `image` and writes it to `target`, `[height, width, channels]`.
  ///
  /// An image of normalised values is copied as it is; its size must be the output's.
  /// - Parameters:
  ///   - name: how to call the image in errors.
  /// - Precondition: `target` has exactly `outputSize(...)` x `channels` elements.
  /// - Throws: `setting`, `mismatch` or `tooLarge`.
  public func apply(
    to image: DecodedImage, named name: String = "", into target: UnsafeMutableBufferPointer<Float>,
    limits: ImageLimits = ImageLimits()
  ) throws(ImageDataError) {
    try validate()
    let output = outputSize(width: image.width, height: image.height)
    let (pixelCount, overflow) = output.height.multipliedReportingOverflow(by: output.width)
    guard !overflow, pixelCount <= limits.pixels else {
      throw ImageDataError(
        .tooLarge, file: name, found: "\(output.height) x \(output.width) pixels after resizing",
        expected: "at most \(limits.pixels) pixels", advice: "Crop, or choose a smaller size")
    }
    precondition(
      target.count == pixelCount * channels,
      "\(target.count) elements for \(output.height) x \(output.width) x \(channels)")
    switch image.pixels {
    case .normalised(let values):
      guard output == Size(height: image.height, width: image.width), channels == image.channels
      else {
        throw ImageDataError(
          .mismatch, file: name,
          found: "normalised values of \(image.height) x \(image.width) x \(image.channels)",
          expected: "\(output.height) x \(output.width) x \(channels)",
          advice: "Normalised arrays are taken as they are; save 8-bit images to have them resized")
      }
      _ = target.update(fromContentsOf: values)
    case .bytes(let samples):
      do {
        try write(samples, of: image, output: output, into: target, limits)
      } catch {
        throw ImageDataError(
          error.kind, file: name, place: error.place, found: error.found, expected: error.expected,
          advice: error.advice)
      }
    }
  }

  /// A transformed copy, `[height, width, channels]`.
  public func callAsFunction(
    _ image: DecodedImage, named name: String = "", limits: ImageLimits = ImageLimits()
  ) throws(ImageDataError) -> [Float] {
    try validate()
    let output = outputSize(width: image.width, height: image.height)
    let (pixelCount, overflow) = output.height.multipliedReportingOverflow(by: output.width)
    // Past the limit `apply` throws before it touches the buffer.
    let count = overflow || pixelCount > limits.pixels ? 0 : pixelCount * channels
    var failure: ImageDataError?
    let values = [Float](unsafeUninitializedCapacity: count) { buffer, filled in
      do throws(ImageDataError) {
        let target = UnsafeMutableBufferPointer(rebasing: buffer[..<count])
        try apply(to: image, named: name, into: target, limits: limits)
        filled = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return values
  }

  private func write(
    _ samples: [UInt8], of image: DecodedImage, output: Size,
    into target: UnsafeMutableBufferPointer<Float>, _ limits: ImageLimits
  ) throws(ImageDataError) {
    guard channels == 1 || channels == 3 else {
      throw ImageDataError(
        .mismatch, file: "", found: "an image of \(image.channels) channel(s)",
        expected: "\(channels) channels",
        advice: "Give normalised values in an array, float32 [N, \(channels), H, W]")
    }
    var samples = samples
    var sourceChannels = image.channels
    if channels == 1 && sourceChannels == 3 {
      samples = luma(samples)
      sourceChannels = 1
    }
    let resized = resizedSize(width: image.width, height: image.height)
    let across = Placement(from: resized.width, to: output.width, cropRounding)
    let down = Placement(from: resized.height, to: output.height, cropRounding)
    if resized != Size(height: image.height, width: image.width) || across.isCut || down.isCut {
      let window = Window(x: across.skip, y: down.skip, width: across.count, height: down.count)
      samples = try resample(
        samples, width: image.width, height: image.height, channels: sourceChannels,
        to: (resized.width, resized.height), window: window, interpolation, limits)
    }

    // One Float32 rounding a step, as PyTorch does it.
    var table = [Float](repeating: 0, count: 256 * channels)
    for c in 0..<channels {
      for value in 0..<256 { table[256 * c + value] = (Float(value) / 255 - mean[c]) / std[c] }
    }
    guard let base = target.baseAddress else { return }
    if across.count < output.width || down.count < output.height {
      let around = (0..<channels).map { table[256 * $0 + Int(border?[$0] ?? 0)] }
      for i in 0..<output.height * output.width {
        for c in 0..<channels { base[i * channels + c] = around[c] }
      }
    }
    samples.withUnsafeBufferPointer { source in
      guard let from = source.baseAddress else { return }
      for y in 0..<down.count {
        let row = ((y + down.padding) * output.width + across.padding) * channels
        cic_map_row(
          from + y * across.count * sourceChannels, across.count, sourceChannels, channels, table,
          base + row)
      }
    }
  }

  private func luma(_ samples: [UInt8]) -> [UInt8] {
    let count = samples.count / 3
    return [UInt8](unsafeUninitializedCapacity: count) { grey, filled in
      samples.withUnsafeBufferPointer { cic_luma($0.baseAddress, count, grey.baseAddress) }
      filled = count
    }
  }
}

/// A centre crop or padding along one axis.
struct Placement: Hashable {
  /// Samples left out at the beginning.
  let skip: Int
  /// Samples of the border put before.
  let padding: Int
  /// Samples that stay.
  let count: Int
  /// Whether any sample is left out.
  let isCut: Bool

  init(from size: Int, to target: Int, _ rounding: ImageTransform.CropRounding) {
    let surplus = size - target
    isCut = surplus > 0
    count = min(size, target)
    padding = (max(-surplus, 0) + (rounding == .down ? 1 : 0)) / 2
    let half = max(surplus, 0) / 2
    // An odd surplus has its middle at half + 1/2: to even.
    let up = rounding == .halfToEven && surplus > 0 && surplus % 2 == 1 && half % 2 == 1
    skip = up ? half + 1 : half
  }
}
