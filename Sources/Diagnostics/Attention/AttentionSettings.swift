import Reports
import StrictJSON

/// How attention maps are looked at.
public struct AttentionSettings: Sendable, Codable, Hashable {
  /// Two heads count as alike when the cosine of their maps is above this.
  public var threshold = 0.5
  /// Images of each minibatch whose maps' effective rank is taken, the first ones; 0: none. It needs
  /// the spectrum of every map and costs more than everything else together.
  public var rankImages = 2

  /// The defaults.
  public init() {}

  var json: JSONValue {
    ["threshold": .real(threshold), "rank_images": .integer(rankImages)]
  }
}
