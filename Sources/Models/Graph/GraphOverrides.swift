import Tensors

/// What a user says of a graph where it tells nothing, or something else.
public struct GraphOverrides: Sendable, Hashable {
  /// A kind for all taps whose names match a pattern.
  public struct Kind: Sendable, Hashable {
    /// The pattern, `*` for any text.
    public let pattern: String
    /// The kind.
    public let kind: Tap.Kind

    /// A kind for what matches a pattern.
    public init(pattern: String, kind: Tap.Kind) { (self.pattern, self.kind) = (pattern, kind) }
  }

  /// Kinds by patterns; the last that matches counts.
  public var kinds: [Kind] = []
  /// Patterns of modules that are the blocks; empty to tell them from the graph.
  public var blocks: [String] = []
  /// Tokens before those of the grid.
  public var prefixTokens: Int?

  /// Nothing.
  public init() {}

  /// Whether nothing is said that is of graphs alone.
  public var isEmpty: Bool { kinds.isEmpty && blocks.isEmpty }

  /// What was said, for the record.
  var provenance: [ParameterProvenance] {
    var said = kinds.map {
      ParameterProvenance(
        parameter: "kind", value: "\($0.pattern)=\($0.kind.rawValue)", source: .given)
    }
    said += blocks.map { ParameterProvenance(parameter: "blocks", value: $0, source: .given) }
    if let prefixTokens {
      said.append(
        ParameterProvenance(parameter: "prefix-tokens", value: "\(prefixTokens)", source: .given))
    }
    return said
  }
}
