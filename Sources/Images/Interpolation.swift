import CImageCodecs

/// The filters of Pillow's `Image.resize`.
///
/// All but `nearest` are antialiased: when shrinking, the filter widens by the shrink factor.
public enum Interpolation: String, Codable, Sendable, Hashable, CaseIterable {
  /// The nearest sample.
  case nearest
  /// The mean of the samples under the pixel.
  case box
  /// Triangle filter, support 1.
  case bilinear
  /// Hamming-windowed, support 1.
  case hamming
  /// Cubic convolution with a = -0.5 (Keys 1981), support 2.
  case bicubic
  /// Windowed sinc, support 3.
  case lanczos

  /// From the number that Pillow gives a filter, as in `preprocessor_config.json`'s `resample`.
  public init?(pillowCode: Int) {
    switch pillowCode {
    case 0: self = .nearest
    case 1: self = .lanczos
    case 2: self = .bilinear
    case 3: self = .bicubic
    case 4: self = .box
    case 5: self = .hamming
    default: return nil
    }
  }

  var filter: cic_filter? {
    switch self {
    case .nearest: nil
    case .box: CIC_BOX
    case .bilinear: CIC_BILINEAR
    case .hamming: CIC_HAMMING
    case .bicubic: CIC_BICUBIC
    case .lanczos: CIC_LANCZOS
    }
  }
}
