import Reports
import StrictJSON

/// Which spectrum of feature maps is taken and how it is drawn.
public struct FourierSettings: Sendable, Codable, Hashable {
  /// Which bins of the two-dimensional spectrum, and what of them.
  public enum Variant: String, Sendable, Codable, CaseIterable {
    /// Log amplitudes on the diagonal, `F(k, k)` (Park & Kim 2022).
    case diag
    /// The mean of log amplitudes over rings of equal rounded radius.
    case radial
    /// The mean of log amplitudes on the two axes, `F(k, 0)` and `F(0, k)`.
    case axis
    /// Half the logarithm of the mean power on the diagonal: log of means, not mean of logs.
    case power
  }

  /// Which frequencies a figure shows; the table has both.
  public enum FrequencyAxis: String, Sendable, Codable, CaseIterable {
    /// Evenly from 0 to π whatever the size of the map, as in the reference figures: stretched by
    /// `n / (n - 2)` for maps of even and `n / (n - 1)` for maps of odd size n.
    case reference
    /// Radians a pixel.
    case actual = "true"
  }

  /// Which bins, and what of them.
  public var variant = Variant.diag
  /// Which frequencies a figure shows.
  public var axis = FrequencyAxis.reference

  /// The defaults: the diagonal, drawn as in the reference figures.
  public init() {}

  /// Added to amplitudes before the logarithm.
  static let floor = 1e-6
  /// A map whose sum is smaller counts as dead.
  static let faint = 1e-5

  var json: JSONValue {
    [
      "variant": .string(variant.rawValue), "axis": .string(axis.rawValue),
      "amplitude_floor": .real(Self.floor),
    ]
  }
}
