import Reports
import StrictJSON
import Tensors

/// How networks bear changes of their input.
public struct RobustnessStudy: EvaluationStudy {
  /// `robustness`.
  public static let name = "robustness"
  /// They are.
  public static let isPaired = true
  /// What the pass is called that the gradient of the loss comes of.
  private static let gradientName = "gradient"
  /// The noise of a ring of frequencies.
  public let noise: FrequencyNoise
  /// The noise of one frequency of the plane.
  public let basis: FourierBasisNoise
  /// What is done to images, one after the other.
  public let perturbations: [Perturbation]
  /// The side of each model's input where the spectrum of the loss's gradient is asked for; else empty.
  public let gradientSides: [Int]

  /// A study of the given changes.
  public init(
    _ noise: FrequencyNoise, _ basis: FourierBasisNoise, _ perturbations: [Perturbation],
    gradientSides: [Int] = []
  ) {
    (self.noise, self.basis) = (noise, basis)
    (self.perturbations, self.gradientSides) = (perturbations, gradientSides)
  }

  /// The changes; then, if it is asked for, no change and the gradient.
  public func variants(of model: Int) -> [String] {
    perturbations.map(\.name) + (gradientSides.isEmpty ? [] : [Self.gradientName])
  }

  /// The gradient's spectrum.
  public func measureCount(of model: Int, variant: Int?) -> Int {
    guard variant == perturbations.count, gradientSides.indices.contains(model) else { return 0 }
    return GradientSpectrum.measureCount(side: gradientSides[model])
  }

  /// What the record of a minibatch says of the gradient.
  ///
  /// - Parameter gradients: of each image's own loss, `[N, side, side, channels]`.
  public func measures(ofGradients gradients: Tensor) -> [Double] {
    GradientSpectrum(side: gradients.shape[1]).measures(gradients)
  }

  /// The noise and all changes.
  public var settings: JSONValue {
    [
      "mask": .string(noise.mask.rawValue), "renorm": .string(noise.renormalization.rawValue),
      "eps": .real(noise.amplitude), "sign": .bool(noise.isSign), "s": .real(noise.halfWidth),
      "seed": .integer(Int(truncatingIfNeeded: noise.seed)), "map_norm": .real(basis.length),
      "map_scale": .string(basis.scale.rawValue),
      "tests": .array(variants(of: 0).map { .string($0) }),
    ]
  }

  /// Changes that differ, of sizes that exist.
  public func isValid(models: Int) -> Bool {
    let all = variants(of: 0)
    return !all.isEmpty && Set(all).count == all.count
      && (gradientSides.isEmpty || gradientSides.count == models)
      && gradientSides.allSatisfy { (1...1 << 14).contains($0) }
      && perturbations.allSatisfy {
        switch $0 {
        case .frequencyNoise(let frequency): (0...1).contains(frequency)
        case .fourierBasis(let frequency):
          [frequency.ky, frequency.kx].allSatisfy { (-(1 << 14)...1 << 14).contains($0) }
        case .corruption(let corruption): (1...5).contains(corruption.severity)
        }
      }
      && noise.amplitude.isFinite && noise.amplitude >= 0
      && noise.halfWidth > 0 && noise.halfWidth.isFinite
      && basis.length.isFinite && basis.length >= 0
  }

  /// Accuracy and likelihood under each change.
  public static func report(on results: StudyResults<Self>) throws -> Report {
    try results.report
  }
}
