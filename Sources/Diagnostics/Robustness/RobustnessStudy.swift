import Reports
import StrictJSON

/// How networks bear changes of their input.
public struct RobustnessStudy: EvaluationStudy {
  /// `robustness`.
  public static let name = "robustness"
  /// The noise of a frequency.
  public let noise: FrequencyNoise
  /// What is done to images, one after the other.
  public let perturbations: [Perturbation]

  /// A study of the given changes.
  public init(_ noise: FrequencyNoise, _ perturbations: [Perturbation]) {
    (self.noise, self.perturbations) = (noise, perturbations)
  }

  /// The changes.
  public func variants(of model: Int) -> [String] { perturbations.map(\.name) }

  /// The noise and all changes.
  public var settings: JSONValue {
    [
      "mask": .string(noise.mask.rawValue), "renorm": .string(noise.renormalization.rawValue),
      "eps": .real(noise.amplitude), "sign": .bool(noise.isSign), "s": .real(noise.halfWidth),
      "seed": .integer(Int(truncatingIfNeeded: noise.seed)),
      "tests": .array(perturbations.map { .string($0.name) }),
    ]
  }

  /// Changes that differ, of sizes that exist.
  public func isValid(models: Int) -> Bool {
    !perturbations.isEmpty && Set(perturbations.map(\.name)).count == perturbations.count
      && perturbations.allSatisfy {
        switch $0 {
        case .frequencyNoise(let frequency): (0...1).contains(frequency)
        case .corruption(let corruption): (1...5).contains(corruption.severity)
        }
      }
      && noise.amplitude.isFinite && noise.amplitude >= 0
      && noise.halfWidth > 0 && noise.halfWidth.isFinite
  }

  /// Accuracy and likelihood under each change.
  public func report(_ models: [EvaluatedModel], on data: String) -> Report {
    RobustnessReport(self, models, data: data).report
  }
}
