/// One way in which the input of a network is changed.
public enum Perturbation: Sendable, Codable, Hashable {
  /// Noise in a ring around a frequency, in units of π radians a pixel.
  case frequencyNoise(Double)
  /// A common corruption.
  case corruption(Corruption)

  /// `frequency=0.3`, `contrast=4`.
  public var name: String {
    switch self {
    case .frequencyNoise(let frequency): "frequency=\(frequency)"
    case .corruption(let corruption): "\(corruption.kind.rawValue)=\(corruption.severity)"
    }
  }

  /// What it is called in the column `test`.
  var test: String {
    switch self {
    case .frequencyNoise: "frequency_noise"
    case .corruption(let corruption): corruption.kind.rawValue
    }
  }

  /// The frequency; nil for a corruption.
  var frequency: Double? {
    if case .frequencyNoise(let frequency) = self { frequency } else { nil }
  }

  /// The corruption; nil for noise of a frequency.
  var corruption: Corruption? { if case .corruption(let own) = self { own } else { nil } }
}
