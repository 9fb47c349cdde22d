import ArgumentParser
import Diagnostics

extension FourierSettings.Variant: ExpressibleByArgument {}
extension FourierSettings.FrequencyAxis: ExpressibleByArgument {}

/// The settings of Fourier spectra.
struct FourierOptions<Place: AnalysisPlace>: AnalysisOptions {
  static var title: String { "Fourier" }
  static var abstract: String {
    "Relative log-amplitude spectra of feature maps, and their high end over depth."
  }

  static var examples: [HelpText.Example] {
    [
      .init("fourier demo:vit demo:resnet", "spectra of all layers of two models"),
      .init("fourier deit.pth --data val --variant radial", "rings in the place of the diagonal"),
    ]
  }

  @Option(
    name: Place.name("variant", of: FourierAnalyzer.self),
    help: "Which spectrum: diag (as published), radial, axis or power.")
  var variant = FourierSettings.Variant.diag

  @Option(help: "Frequencies of the figures: reference (as published) or true.")
  var axis = FourierSettings.FrequencyAxis.reference

  func analyzer(seed: UInt64) -> FourierAnalyzer {
    var settings = FourierSettings()
    settings.variant = variant
    settings.axis = axis
    return FourierAnalyzer(settings)
  }
}
