import Tensors

/// What a row of a feature matrix is: how an image's value becomes a vector.
public enum RowMode: String, Sendable, Codable, CaseIterable {
  /// Everything, prefix tokens included.
  case flatten
  /// Everything but prefix tokens.
  case patches
  /// The first prefix token (class token); undefined where there is none.
  case cls
  /// The mean over positions, prefix tokens left out.
  case pool

  /// The columns `offset ..< offset + count` of an image's flat value, or nil where undefined. For
  /// ``pool`` they are those to be averaged over.
  func columns(of planned: PlannedTap) -> (offset: Int, count: Int)? {
    let whole = planned.shape.reduce(1, *)
    guard case .tokens(_, _, let prefix) = planned.tap.layout, let channels = planned.shape.last
    else {
      return self == .cls ? nil : (0, whole)
    }
    switch self {
    case .flatten: return (0, whole)
    case .patches, .pool: return (prefix * channels, whole - prefix * channels)
    case .cls: return prefix > 0 ? (0, channels) : nil
    }
  }
}
