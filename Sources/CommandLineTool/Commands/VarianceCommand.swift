import ArgumentParser
import Diagnostics

extension VarianceSettings.Variant: ExpressibleByArgument {}

/// The settings of feature-map variance.
struct VarianceOptions<Place: AnalysisPlace>: AnalysisOptions {
  static var title: String { "Variance" }
  static var abstract: String { "The variance of feature maps over depth." }

  static var examples: [HelpText.Example] {
    [
      .init("variance demo:vit demo:resnet", "over the places of maps"),
      .init("variance deit.pth --data val --variant sample", "over the images of a minibatch"),
    ]
  }

  @Option(
    name: Place.name("variant", of: VarianceAnalyzer.self),
    help: "Over what: spatial (as published), sample or normalised.")
  var variant = VarianceSettings.Variant.spatial

  func analyzer(seed: UInt64) -> VarianceAnalyzer {
    var settings = VarianceSettings()
    settings.variant = variant
    return VarianceAnalyzer(settings)
  }
}
