import Reports
import StrictJSON

/// How networks bear changes of their input.
public struct RobustnessStudy: EvaluationStudy {
  /// `robustness`.
  public static let name = "robustness"
  /// The noise.
  public let noise: FrequencyNoise
  /// The middles of its rings, in units of π radians a pixel.
  public let frequencies: [Double]

  /// Noise in rings around the given frequencies.
  public init(_ noise: FrequencyNoise, frequencies: [Double]) {
    (self.noise, self.frequencies) = (noise, frequencies)
  }

  /// The rings.
  public func variants(of model: Int) -> [String] { frequencies.map { "frequency=\($0)" } }

  /// The noise and its rings.
  public var settings: JSONValue {
    [
      "mask": .string(noise.mask.rawValue), "renorm": .string(noise.renormalization.rawValue),
      "eps": .real(noise.amplitude), "sign": .bool(noise.isSign), "s": .real(noise.halfWidth),
      "f_over_pi": .array(frequencies.map(JSONValue.real)),
    ]
  }

  /// Frequencies that differ, of noise that exists.
  public func isValid(models: Int) -> Bool {
    !frequencies.isEmpty && Set(frequencies).count == frequencies.count
      && frequencies.allSatisfy { (0...1).contains($0) }
      && noise.amplitude.isFinite && noise.amplitude >= 0
      && noise.halfWidth > 0 && noise.halfWidth.isFinite
  }

  /// Accuracy and likelihood under noise.
  public func report(_ models: [EvaluatedModel], on data: String) -> Report {
    RobustnessReport(self, models, data: data).report
  }
}
