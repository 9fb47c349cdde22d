import ArgumentParser
import Diagnostics
import VitProbe

extension FrequencyNoise.Mask: ExpressibleByArgument {}
extension FrequencyNoise.Renormalization: ExpressibleByArgument {}
extension FourierBasisNoise.Scale: ExpressibleByArgument {}

/// What is done to images, as a user gives it.
struct PerturbationOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "frequency (noise of one ring of frequencies after the other), fourier (of each frequency of the plane), gradient (its spectrum), corruptions (all), or names as in contrast,shot_noise.",
      valueName: "LIST"),
    completion: Completion.lists(
      of: ["frequency", "fourier", "gradient", "corruptions"]
        + Corruption.Kind.allCases.map(\.rawValue)))
  var tests = "frequency"

  @Option(help: ArgumentHelp("Severities of corruptions, from 1 to 5.", valueName: "LIST"))
  var severities = "1,2,3,4,5"

  @Option(
    help: ArgumentHelp(
      "Middles of the rings of frequencies, in units of π radians a pixel.", valueName: "LIST"))
  var frequencies = "0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9"

  @Option(
    name: .customLong("half-width"),
    help: ArgumentHelp("Half the width of a ring, in radians a pixel.", valueName: "S"))
  var halfWidth = 0.2

  @Option(help: ArgumentHelp("Size of the noise, in units of normalised inputs.", valueName: "E"))
  var eps = 0.7

  @Flag(inversion: .prefixedNo, help: "Noise of one size and either sign; otherwise normal.")
  var sign = true

  @Option(help: "Which frequencies a ring holds: hdvw (the authors' code) or symmetric.")
  var mask = FrequencyNoise.Mask.hdvw

  @Option(help: "Size of the noise after masking: none (as it is) or rms (each image to --eps).")
  var renorm = FrequencyNoise.Renormalization.none

  @Option(
    name: .customLong("map-size"),
    help: ArgumentHelp("Frequencies a side of the plane, an odd number.", valueName: "N"))
  var mapSize = 31

  @Option(
    name: .customLong("map-norm"),
    help: ArgumentHelp(
      "Length of the noise of a frequency of the plane, in units of samples in 0...1.",
      valueName: "V"))
  var mapNorm = 4.0

  @Option(
    name: .customLong("map-scale"),
    help: "What has that length: the change of each channel, or of the image as a whole.")
  var mapScale = FourierBasisNoise.Scale.channel

  func validate() throws { _ = try perturbations }

  /// Whether the spectrum of the loss's gradient is asked for.
  var hasGradient: Bool { names.contains("gradient") }

  private var names: [Substring] {
    tests.split(separator: ",", omittingEmptySubsequences: false)
  }

  /// The frequencies of the plane.
  private var plane: [Perturbation] {
    get throws {
      guard mapSize % 2 == 1, (1...255).contains(mapSize) else {
        throw ValidationError("--map-size \(mapSize): an odd number from 1 to 255 is needed")
      }
      guard mapNorm >= 0, mapNorm.isFinite else {
        throw ValidationError("--map-norm \(mapNorm): a number of at least 0 is needed")
      }
      return FourierBasisNoise.frequencies(size: mapSize).map(Perturbation.fourierBasis)
    }
  }

  func basis(seed: UInt64) -> FourierBasisNoise {
    var basis = FourierBasisNoise()
    (basis.length, basis.scale, basis.seed) = (mapNorm, mapScale, seed)
    return basis
  }

  /// All changes in the order asked for.
  var perturbations: [Perturbation] {
    get throws {
      let middles = try middles.map(Perturbation.frequencyNoise)
      let parts = severities.split(separator: ",", omittingEmptySubsequences: false)
      let levels = parts.compactMap { Int($0) }.filter { (1...5).contains($0) }
      guard levels.count == parts.count, Set(levels).count == levels.count else {
        throw ValidationError(
          "--severities \"\(severities)\": expected numbers from 1 to 5 that differ, as in 1,3,5")
      }
      func corruptions(_ kind: Corruption.Kind) -> [Perturbation] {
        levels.map { .corruption(Corruption(kind, severity: $0)) }
      }
      var found: [Perturbation] = []
      for name in names {
        switch name {
        case "frequency": found += middles
        case "fourier": found += try plane
        case "gradient": break
        case "corruptions": found += Corruption.Kind.allCases.flatMap(corruptions)
        default:
          guard let kind = Corruption.Kind(rawValue: String(name)) else {
            let known = Corruption.Kind.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError(
              "--tests \"\(name)\" is not one of frequency, fourier, gradient, corruptions, \(known)"
            )
          }
          found += corruptions(kind)
        }
      }
      guard Set(found).count == found.count, names.count(where: { $0 == "gradient" }) < 2 else {
        throw ValidationError("--tests \"\(tests)\": a test is there twice")
      }
      return found
    }
  }

  /// The frequencies.
  private var middles: [Double] {
    get throws {
      guard eps >= 0, eps.isFinite else {
        throw ValidationError("--eps \(eps): a number of at least 0 is needed")
      }
      guard halfWidth > 0, halfWidth.isFinite else {
        throw ValidationError("--half-width \(halfWidth): a number above 0 is needed")
      }
      let parts = frequencies.split(separator: ",", omittingEmptySubsequences: false)
      let values = parts.compactMap { Double($0) }.filter { (0...1).contains($0) }
      guard values.count == parts.count, Set(values).count == values.count else {
        throw ValidationError(
          "--frequencies \"\(frequencies)\": expected numbers in 0...1 that differ, as in 0.1,0.5")
      }
      return values
    }
  }

  func noise(seed: UInt64) -> FrequencyNoise {
    var noise = FrequencyNoise()
    (noise.mask, noise.renormalization) = (mask, renorm)
    (noise.amplitude, noise.isSign, noise.halfWidth, noise.seed) = (eps, sign, halfWidth, seed)
    return noise
  }
}

/// `vitprobe robustness`
struct RobustnessCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "robustness",
    abstract: "Accuracy under noise of one frequency after the other, and under corruptions.",
    discussion: HelpText.examples([
      .init(
        "robustness demo:vit demo:resnet --limit 256", "noise of one frequency after the other"),
      .init(
        "robustness deit.pth --data val --tests contrast,shot_noise --severities 1,3,5",
        "two corruptions"),
    ]))

  @Argument(help: "Models with a head, [LABEL=][ARCH@]SOURCE.", completion: Completion.subjects)
  var subject: [String]

  @OptionGroup(title: "Changes of images") var changes: PerturbationOptions
  @OptionGroup(title: "Run") var options: RunOptions
  @OptionGroup(title: "Long runs") var long: LongRunOptions
  @OptionGroup(title: "Output") var output: OutputOptions

  func run() throws {
    let (noise, all) = (changes.noise(seed: options.seed), try changes.perturbations)
    let (basis, hasGradient) = (changes.basis(seed: options.seed), changes.hasGradient)
    let job = EvaluationJob(try options.job(subject, analyses: [])) { models in
      try RobustnessEvaluation(models, noise: noise, basis: basis, all, gradient: hasGradient)
    }
    try EvaluationCommandRunner(job: job, options: options, long: long, output: output)()
  }
}
