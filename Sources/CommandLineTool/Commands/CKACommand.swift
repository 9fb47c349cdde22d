import ArgumentParser
import Diagnostics
import VitProbe

extension RowMode: ExpressibleByArgument {}
extension CKASettings.Estimator: ExpressibleByArgument {}
extension CKASettings.BatchWeight: ExpressibleByArgument {}
extension CKASettings.Normalization: ExpressibleByArgument {}
extension CKASettings.Kernel: ExpressibleByArgument {}

/// The settings of centred kernel alignment, for every command that has it.
struct CKAOptions: AnalysisOptions {
  static let title = "CKA"
  static let abstract =
    "Similarity of layers: curves to the last block and heatmaps of all pairs."
  static let reportsMetrics = false
  static let examples: [HelpText.Example] = [
    .init("cka demo:vit demo:resnet", "curves to the last block, and heat maps of all pairs"),
    .init("cka deit.pth --data val --rows cls --taps sequence", "of class tokens, by half-blocks"),
  ]

  @Option(help: "What a row is: flatten, patches, cls or pool.")
  var rows = RowMode.flatten

  @Option(help: "Estimator of HSIC: unbiased or biased.")
  var estimator = CKASettings.Estimator.unbiased

  @Option(help: "How minibatches count: size, equal or sum.")
  var batchWeight = CKASettings.BatchWeight.size

  @Option(help: "How the curve is drawn: ratio, minmax or none.")
  var normalize = CKASettings.Normalization.ratio

  @Option(help: "Kernel between rows: linear or rbf.")
  var kernel = CKASettings.Kernel.linear

  @Option(help: ArgumentHelp("Bandwidth, in root median squared distances.", valueName: "T"))
  var rbfScale = 1.0

  @Option(help: ArgumentHelp("Resamples for intervals; 0: none.", valueName: "R"))
  var bootstrap = 1000

  func validate() throws {
    if !(rbfScale > 0 && rbfScale.isFinite) {
      throw ValidationError("--rbf-scale \(rbfScale): a positive number is needed")
    }
    if !(0...CKASettings.mostResamples).contains(bootstrap) {
      throw ValidationError(
        "--bootstrap \(bootstrap): a number from 0 to \(CKASettings.mostResamples) is needed")
    }
  }

  func analyzer(seed: UInt64) -> CKAAnalyzer {
    var settings = CKASettings()
    settings.rows = rows
    settings.estimator = estimator
    settings.batchWeight = batchWeight
    settings.normalization = normalize
    settings.kernel = kernel
    settings.rbfScale = rbfScale
    settings.bootstrap = bootstrap
    settings.seed = seed
    return CKAAnalyzer(settings)
  }
}
