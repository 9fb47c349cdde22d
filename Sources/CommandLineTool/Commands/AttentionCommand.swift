import ArgumentParser
import Diagnostics

/// The settings of the analysis of attention maps.
struct AttentionOptions<Place: AnalysisPlace>: AnalysisOptions {
  static var title: String { "Attention" }
  static var abstract: String {
    "Attention maps over depth: similarity of tokens, heads and layers; distance, entropy, rank."
  }

  static var examples: [HelpText.Example] {
    [
      .init("attention demo:vit demo:refiner --limit 256", "all statistics of two models"),
      .init("attention deit.pth --data val --rank-images 0", "without the effective rank"),
    ]
  }

  @Option(
    name: Place.name("threshold", of: AttentionAnalyzer.self),
    help: ArgumentHelp("Two heads are alike above this cosine.", valueName: "COS"))
  var threshold = AttentionSettings().threshold

  @Option(
    name: Place.name("rank-images", of: AttentionAnalyzer.self),
    help: ArgumentHelp(
      "Images of each minibatch whose maps' effective rank is taken; 0: none.", valueName: "N"))
  var rankImages = AttentionSettings().rankImages

  func validate() throws {
    if !(-1...1).contains(threshold) {
      throw ValidationError("--threshold \(threshold): a cosine from -1 to 1 is needed")
    }
    if rankImages < 0 {
      throw ValidationError("--rank-images \(rankImages): at least 0 is needed")
    }
  }

  func analyzer(seed: UInt64) -> AttentionAnalyzer {
    var settings = AttentionSettings()
    settings.threshold = threshold
    settings.rankImages = rankImages
    return AttentionAnalyzer(settings)
  }
}
