/// What a user sets about preprocessing; the rest is the checkpoint's or the variant's own.
public struct PreprocessingOverrides: Sendable, Hashable {
  /// The side of the input in pixels.
  public var imageSize: Int?
  /// The mean of each channel, in 0...1.
  public var mean: [Double]?
  /// The standard deviation of each channel.
  public var std: [Double]?
  /// The filter of the resize, in Pillow's terms.
  public var interpolation: String?
  /// The fraction of the short edge that the crop keeps (timm's `crop_pct`).
  public var cropFraction: Double?

  /// No change.
  public init() {}
}
