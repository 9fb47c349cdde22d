/// One way in which the input of a network is changed.
public enum Perturbation: Sendable, Codable, Hashable {
  /// Noise in a ring around a frequency, in units of π radians a pixel.
  case frequencyNoise(Double)
  /// Noise of one frequency of the plane.
  case fourierBasis(FourierBasisNoise.Frequency)
  /// A common corruption.
  case corruption(Corruption)

  /// `frequency=0.3`, `basis=3,-1`, `contrast=4`.
  public var name: String {
    switch self {
    case .frequencyNoise(let frequency): "frequency=\(frequency)"
    case .fourierBasis(let frequency): "basis=\(frequency.ky),\(frequency.kx)"
    case .corruption(let corruption): "\(corruption.kind.rawValue)=\(corruption.severity)"
    }
  }

  /// What it is called in the column `test`.
  var test: String {
    switch self {
    case .frequencyNoise: "frequency_noise"
    case .fourierBasis: "fourier_basis"
    case .corruption(let corruption): corruption.kind.rawValue
    }
  }

  /// The middle of the ring; nil for anything else.
  var frequency: Double? {
    if case .frequencyNoise(let frequency) = self { frequency } else { nil }
  }

  /// The frequency of the plane; nil for anything else.
  public var basis: FourierBasisNoise.Frequency? {
    if case .fourierBasis(let frequency) = self { frequency } else { nil }
  }

  /// The corruption; nil for noise of a frequency.
  public var corruption: Corruption? { if case .corruption(let own) = self { own } else { nil } }
}
