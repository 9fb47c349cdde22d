import Reports
import StrictJSON

/// A question that is put to networks from outside: each of many variants of a network is run on the same
/// labelled images. This is what its records and its report depend on; how a variant is run is not.
public protocol EvaluationStudy: Codable, Sendable {
  /// The command, and the stem of its files.
  static var name: String { get }

  /// Whether variants are compared with the network as it is, image by image.
  static var isPaired: Bool { get }

  /// What the variants of a model are called, beside the network as it is: unique, without white space.
  ///
  /// - Parameter model: the model's place.
  func variants(of model: Int) -> [String]

  /// How many further numbers the record of a minibatch has.
  ///
  /// - Parameters:
  ///   - model: the model's place.
  ///   - variant: what is done to it; nil for the network as it is.
  func measureCount(of model: Int, variant: Int?) -> Int

  /// What was set, for the manifest.
  var settings: JSONValue { get }

  /// Whether a study that was read from a file is one that a run of so many models could have had.
  func isValid(models: Int) -> Bool

  /// Tables and figures.
  static func report(on results: StudyResults<Self>) throws -> Report
}

extension EvaluationStudy {
  /// They are not.
  public static var isPaired: Bool { false }

  /// None.
  public func measureCount(of model: Int, variant: Int?) -> Int { 0 }
}

/// A model and how its variants do on the same images.
public struct EvaluatedModel: Sendable {
  /// The name in tables and figures.
  public let label: String
  /// The architecture family, for colours.
  public let family: String
  /// `ok`, or what was assumed of the labels.
  public let labelStatus: String
  /// Whether no more images are right than a guess would get.
  public let isAtChance: Bool
  /// The network as it is.
  public let baseline: ScoreSums
  /// Its variants, in the study's order.
  public let variants: [ScoreSums]
  /// How large the weights of each are; nil where they are the network's own.
  public let weights: [WeightNorms?]
  /// Further numbers of the network as it is, then of each variant, minibatch by minibatch.
  public let measures: [[[Double]]]

  /// A model and its scores.
  public init(
    label: String, family: String, labelStatus: String = "ok", isAtChance: Bool = false,
    baseline: ScoreSums, variants: [ScoreSums], weights: [WeightNorms?],
    measures: [[[Double]]]
  ) {
    (self.label, self.family, self.labelStatus) = (label, family, labelStatus)
    (self.isAtChance, self.baseline, self.variants) = (isAtChance, baseline, variants)
    (self.weights, self.measures) = (weights, measures)
  }

  /// The status of a number that stands on some scores: `ok`, `missing` without an image, `nan_input` where
  /// class scores are not finite, `at_chance` where the network as it is does no better than a guess; and what
  /// was assumed of the labels.
  func status(_ scores: [ScoreSums]) -> String {
    let own =
      scores.contains { $0.count == 0 }
      ? "missing"
      : !scores.allSatisfy(\.isFinite) ? "nan_input" : isAtChance ? "at_chance" : "ok"
    return labelStatus == "ok" ? own : own == "ok" ? labelStatus : own + ";" + labelStatus
  }
}
