import Reports
import StrictJSON
import Tensors

/// What each residual branch of a network, or each attention head, is worth: it is removed, and the network
/// is asked again (Veit et al. 2016 for residual networks; Park and Kim, ICLR 2022).
public struct LesionStudy: EvaluationStudy {
  /// What is put in the place of what is removed.
  public enum Replacement: String, Codable, Sendable, CaseIterable {
    /// Nothing: the block passes its input on.
    case zero
    /// The mean over the images of the minibatch, place by place: what does not depend on the image stays.
    case mean
  }

  /// One thing that is removed.
  public struct Lesion: Codable, Sendable, Hashable {
    /// The place of the branch among the residual branches of the network.
    public let index: Int
    /// Where the branch stands in the network.
    public let position: LayerPosition
    /// The branch.
    public let branch: Tap
    /// The head; nil for the whole branch.
    public let head: Int?
    /// The tap whose value is replaced: the branch's, or that of the maps that its heads attend by.
    public let target: String

    /// A lesion of a branch or a head.
    public init(
      index: Int, position: LayerPosition, branch: Tap, head: Int? = nil, target: String
    ) {
      (self.index, self.position, self.branch) = (index, position, branch)
      (self.head, self.target) = (head, target)
    }

    /// `blocks.3.attn_branch`, `blocks.3.attn_branch#2` for a head.
    public var name: String { branch.name + (head.map { "#\($0)" } ?? "") }
  }

  /// `lesion`.
  public static let name = "lesion"
  /// They are.
  public static let isPaired = true
  /// What is put in the place.
  public let replacement: Replacement
  /// Of each model, in the order of the forward pass.
  public let lesions: [[Lesion]]

  /// The layer of each model at which the network without a branch is compared with the whole one; nil for a
  /// network without such a layer.
  public let lastLayers: [String?]
  /// Whether the convolutions are ranked by what a self-attention would do in their place.
  public let ranksBuildUp: Bool

  /// A study of the given lesions of each model.
  public init(
    _ lesions: [[Lesion]], by replacement: Replacement, lastLayers: [String?],
    ranksBuildUp: Bool = false
  ) {
    (self.lesions, self.replacement) = (lesions, replacement)
    (self.lastLayers, self.ranksBuildUp) = (lastLayers, ranksBuildUp)
  }

  /// The similarity of the last layer; of the network as it is, what ranks its branches.
  public func measureCount(of model: Int, variant: Int?) -> Int {
    if variant != nil { return lastLayers[model] == nil ? 0 : CentredGram.measureCount }
    guard ranksBuildUp else { return 0 }
    return FeatureProfile.measureCount(branches: lesions[model].count { $0.head == nil })
  }

  /// The names of the lesions.
  public func variants(of model: Int) -> [String] { lesions[model].map(\.name) }

  /// What is put in the place, and the lesions of each model.
  public var settings: JSONValue {
    [
      "by": .string(replacement.rawValue), "build_up": .bool(ranksBuildUp),
      "last_layers": .array(lastLayers.map { $0.map(JSONValue.string) ?? .null }),
      "lesions": .array(lesions.map { .array($0.map { .string($0.name) }) }),
    ]
  }

  /// Some lesions of each model, with names that differ.
  public func isValid(models: Int) -> Bool {
    lesions.count == models && lastLayers.count == models
      && lesions.allSatisfy { own in
        !own.isEmpty && Set(own.map(\.name)).count == own.count
          && own.allSatisfy { $0.position.isValid && (0...1 << 24).contains($0.index) }
      }
  }

  /// Accuracy and likelihood without each branch.
  public static func report(on results: StudyResults<Self>) throws -> Report {
    try results.report
  }
}
