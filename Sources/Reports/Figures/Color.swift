/// An opaque sRGB colour.
public struct Color: Sendable, Hashable {
  /// Red, from 0 to 255.
  public let red: UInt8
  /// Green, from 0 to 255.
  public let green: UInt8
  /// Blue, from 0 to 255.
  public let blue: UInt8

  /// From the usual six hexadecimal digits: `Color(0x1f77b4)`.
  public init(_ rgb: UInt32) {
    red = UInt8(truncatingIfNeeded: rgb >> 16)
    green = UInt8(truncatingIfNeeded: rgb >> 8)
    blue = UInt8(truncatingIfNeeded: rgb)
  }

  /// `#rrggbb`.
  public var hex: String {
    let digits = String(UInt32(red) << 16 | UInt32(green) << 8 | UInt32(blue), radix: 16)
    return "#" + String(repeating: "0", count: 6 - digits.count) + digits
  }

  static let ink = Color(0x262626)
  static let mutedInk = Color(0x595959)
  static let grid = Color(0xE6E6E6)
  /// Axes, and lines that belong to no model.
  public static let frame = Color(0x4D4D4D)
  static let white = Color(0xFFFFFF)

  /// Colours of models. The hues are those of Okabe and Ito ("Color Universal Design", 2008); the
  /// lightness of each is moved until any two differ also as fills of 35 % on white and to readers
  /// without green cones, where those have pairs that look alike. Dark enough for lines first.
  public static let distinct: [Color] = [
    Color(0x1257C8), Color(0xC8500A), Color(0x45A08C), Color(0x55156E), Color(0xF0B41C),
    Color(0x78BCF2), Color(0x262626),
  ]
}

/// A continuous scale of colours over [0, 1].
public enum ColorMap: String, Sendable, Hashable {
  case magma, viridis, plasma
  /// Plasma without its lightest fifth, for lines: yellow does not show on white.
  case ember
  /// Blue, white, red, for values on both sides of a meaningful zero.
  case diverging

  /// The colour at `position`, which is held to [0, 1]; a NaN has the first.
  public func color(at position: Double) -> Color {
    let stops = stops
    let place =
      (position.isNaN ? 0 : min(max(position, 0), 1)) * Double(stops.count - 1)
      * (self == .ember ? 0.8 : 1)
    let index = min(Int(place), stops.count - 2)
    let weight = place - Double(index)
    let (low, high) = (stops[index], stops[index + 1])
    func mix(_ shift: UInt32) -> UInt32 {
      let a = Double(low >> shift & 0xFF)
      let b = Double(high >> shift & 0xFF)
      return UInt32((a + (b - a) * weight).rounded()) << shift
    }
    return Color(mix(16) | mix(8) | mix(0))
  }

  /// Evenly spaced colours. Between the 33 stops of the first three, linear interpolation is
  /// within 3/255 of the 256-entry tables (van der Walt and Smith, CC0); the last is ColorBrewer's
  /// RdBu, reversed.
  private var stops: [UInt32] {
    switch self {
    case .magma: Self.magmaStops
    case .viridis: Self.viridisStops
    case .plasma, .ember: Self.plasmaStops
    case .diverging: Self.divergingStops
    }
  }

  private static let magmaStops: [UInt32] = [
    0x000004, 0x030312, 0x0A0822, 0x130D34, 0x1D1147, 0x29115A, 0x36106B, 0x440F76,
    0x51127C, 0x5D177F, 0x6A1C81, 0x762181, 0x832681, 0x902A81, 0x9C2E7F, 0xAA337D,
    0xB73779, 0xC23B75, 0xCF4070, 0xDB476A, 0xE55064, 0xEE5B5E, 0xF4695C, 0xF9785D,
    0xFB8761, 0xFD9668, 0xFEA571, 0xFEB47B, 0xFEC287, 0xFED194, 0xFDE0A1, 0xFCEEB0,
    0xFCFDBF,
  ]

  private static let viridisStops: [UInt32] = [
    0x440154, 0x470D60, 0x48186A, 0x482374, 0x472D7B, 0x453781, 0x424086, 0x3E4989,
    0x3B528B, 0x375B8D, 0x33638D, 0x2F6B8E, 0x2C728E, 0x297A8E, 0x26828E, 0x23898E,
    0x21918C, 0x1F978B, 0x1F9F88, 0x21A685, 0x27AD81, 0x31B57B, 0x3DBC74, 0x4CC26C,
    0x5CC863, 0x6ECE58, 0x81D34D, 0x95D840, 0xAADC32, 0xC0DF25, 0xD5E21A, 0xEAE51A,
    0xFDE725,
  ]

  private static let plasmaStops: [UInt32] = [
    0x0D0887, 0x220690, 0x310597, 0x3F049C, 0x4C02A1, 0x5901A5, 0x6600A7, 0x7201A8,
    0x7E03A8, 0x8A09A5, 0x9511A1, 0xA01A9C, 0xAA2395, 0xB32C8E, 0xBC3587, 0xC43E7F,
    0xCC4778, 0xD24F71, 0xD9586A, 0xDF6263, 0xE56B5D, 0xEB7556, 0xF07F4F, 0xF48948,
    0xF89441, 0xFB9F3A, 0xFDAB33, 0xFEB72D, 0xFDC328, 0xFCD025, 0xF9DD25, 0xF5EB27,
    0xF0F921,
  ]

  private static let divergingStops: [UInt32] = [
    0x053061, 0x2166AC, 0x4393C3, 0x92C5DE, 0xD1E5F0, 0xF7F7F7, 0xFDDBC7, 0xF4A582,
    0xD6604D, 0xB2182B, 0x67001F,
  ]
}
