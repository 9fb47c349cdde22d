import ArgumentParser
import Diagnostics

/// The settings of the analysis of mixing layers.
struct RelationsOptions<Place: AnalysisPlace>: AnalysisOptions {
  static var title: String { "Relations" }
  static var abstract: String {
    "What layers that mix places are: how local, how dynamic, how shared, declared and measured."
  }
  static var reportsMetrics: Bool { false }

  static var examples: [HelpText.Example] {
    [
      .init("relations demo:vit demo:resnet --limit 256", "a row a mixing layer"),
      .init(
        "relations volo_d1 dynamic_dwnet_tiny_patch4_window7_224 --data val",
        "attention beside dynamic convolution"),
    ]
  }

  @Option(
    name: Place.name("rank-images", of: RelationsAnalyzer.self),
    help: ArgumentHelp(
      "Images of each minibatch whose effective rank is taken; 0: none.", valueName: "N"))
  var rankImages = RelationsSettings().rankImages

  func validate() throws {
    if rankImages < 0 {
      throw ValidationError("--rank-images \(rankImages): at least 0 is needed")
    }
  }

  func analyzer(seed: UInt64) -> RelationsAnalyzer {
    var settings = RelationsSettings()
    settings.rankImages = rankImages
    return RelationsAnalyzer(settings)
  }
}
