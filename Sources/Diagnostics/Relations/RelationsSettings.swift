import Reports
import StrictJSON

/// How the weights of mixing layers are looked at.
public struct RelationsSettings: Sendable, Codable, Hashable {
  /// Images of each minibatch whose mixing matrices' effective rank is taken, the first ones; 0: none.
  public var rankImages = 1

  /// The defaults.
  public init() {}

  var json: JSONValue { ["rank_images": .integer(rankImages)] }
}
