import Models

/// What is said of layers where files do not say it: how features of other software lie, and what the taps of an
/// exported graph are.
public struct FeatureLayout: Sendable, Hashable {
  /// Where the channels of a map `[N, ...]` of rank 4 are.
  public enum Map: String, Sendable, CaseIterable {
    case nchw, nhwc
  }
  /// Where the channels are.
  public var map = Map.nchw
  /// Tokens before those of the grid.
  public var prefixTokens: Int?
  /// Kinds and blocks of an exported graph.
  public var graph = GraphOverrides()

  /// `[N, C, H, W]` maps, and as many prefix tokens as leave a square grid.
  public init() {}
}
