import Reports
import StrictJSON

/// A question that is put to networks from outside: each of many variants of a network is run on the same
/// labelled images. This is what its records and its report depend on; how a variant is run is not.
public protocol EvaluationStudy: Codable, Sendable {
  /// The command, and the stem of its files.
  static var name: String { get }

  /// What the variants of a model are called, beside the network as it is: unique, without white space.
  ///
  /// - Parameter model: the model's place.
  func variants(of model: Int) -> [String]

  /// What was set, for the manifest.
  var settings: JSONValue { get }

  /// Whether a study that was read from a file is one that a run of so many models could have had.
  func isValid(models: Int) -> Bool

  /// Tables and figures.
  ///
  /// - Parameters:
  ///   - models: in order.
  ///   - data: what the images are called.
  func report(_ models: [EvaluatedModel], on data: String) throws -> Report
}

/// A model and how its variants do on the same images.
public struct EvaluatedModel: Sendable {
  /// The name in tables and figures.
  public let label: String
  /// The architecture family, for colours.
  public let family: String
  /// `ok`, or what was assumed of the labels.
  public let labelStatus: String
  /// The network as it is.
  public let baseline: ImageScores
  /// Its variants, in the study's order.
  public let variants: [ImageScores]
  /// How large the weights of each are; nil where they are the network's own.
  public let weights: [WeightNorms?]

  /// A model and its scores.
  public init(
    label: String, family: String, labelStatus: String = "ok", baseline: ImageScores,
    variants: [ImageScores], weights: [WeightNorms?]
  ) {
    (self.label, self.family, self.labelStatus) = (label, family, labelStatus)
    (self.baseline, self.variants, self.weights) = (baseline, variants, weights)
  }

  /// The status of a number that stands on some scores: `ok`, `missing` without an image, `nan_input` where
  /// class scores are not finite; and what was assumed of the labels.
  func status(_ scores: [ImageScores]) -> String {
    let own =
      scores.contains { $0.count == 0 }
      ? "missing" : scores.allSatisfy(\.isFinite) ? "ok" : "nan_input"
    return labelStatus == "ok" ? own : own == "ok" ? labelStatus : own + ";" + labelStatus
  }
}
