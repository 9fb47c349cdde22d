import Reports
import StrictJSON

/// Which variance of feature maps is taken.
public struct VarianceSettings: Sendable, Codable, Hashable {
  /// Over what.
  public enum Variant: String, Sendable, Codable, CaseIterable {
    /// Over the places of a map (divisor `hw - 1`), averaged over channels and images (Park & Kim
    /// 2022).
    case spatial
    /// Over the images of a minibatch, place by place and channel by channel (divisor `n - 1`),
    /// averaged over places and channels; minibatches count by `n - 1`. Means of features over more
    /// than a minibatch are never held, so this is the variance within minibatches.
    case sample
    /// The spatial variance relative to the mean square: free of the scale of the features.
    case normalised
  }

  /// Over what.
  public var variant = Variant.spatial

  /// The defaults: over the places of a map.
  public init() {}

  var json: JSONValue { ["variant": .string(variant.rawValue)] }
}
