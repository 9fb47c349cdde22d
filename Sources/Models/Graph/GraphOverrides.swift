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

  /// A layout for all taps whose names match a pattern.
  public struct Layout: Sendable, Hashable {
    /// How the axes of a value follow each other, images first.
    public enum Axes: String, Sendable, CaseIterable {
      /// `[N, C, H, W]`.
      case map
      /// `[N, H, W, C]`.
      case mapChannelsLast = "map-nhwc"
      /// `[N, T, C]`: a square grid behind the prefix.
      case tokens
      /// `[N, C, T]`.
      case tokensLast = "tokens-last"
      /// Rows to compare, and no places.
      case none
    }

    /// The pattern, `*` for any text.
    public let pattern: String
    /// The axes.
    public let axes: Axes

    /// A layout for what matches a pattern.
    public init(pattern: String, axes: Axes) { (self.pattern, self.axes) = (pattern, axes) }
  }

  /// Kinds by patterns; the last that matches counts.
  public var kinds: [Kind] = []
  /// Layouts by patterns; the last that matches counts.
  public var layouts: [Layout] = []
  /// Patterns of modules that are the blocks; empty to tell them from the graph.
  public var blocks: [String] = []
  /// Tokens before those of the grid.
  public var prefixTokens: Int?

  /// Nothing.
  public init() {}

  /// Whether nothing is said that is of graphs alone.
  public var isEmpty: Bool { kinds.isEmpty && layouts.isEmpty && blocks.isEmpty }

  /// What was said, for the record.
  var provenance: [ParameterProvenance] {
    var said = kinds.map {
      ParameterProvenance(
        parameter: "kind", value: "\($0.pattern)=\($0.kind.rawValue)", source: .given)
    }
    said += layouts.map {
      ParameterProvenance(
        parameter: "layout", value: "\($0.pattern)=\($0.axes.rawValue)", source: .given)
    }
    said += blocks.map { ParameterProvenance(parameter: "blocks", value: $0, source: .given) }
    if let prefixTokens {
      said.append(
        ParameterProvenance(parameter: "prefix-tokens", value: "\(prefixTokens)", source: .given))
    }
    return said
  }
}

extension GraphOverrides.Layout {
  /// What the axes of a value are if this is right; nil where it does not fit.
  func axes(of value: GraphValue, prefix: Int) -> [GraphAxis]? {
    guard value.batchAxis == 0, value.dimensions[0] == 1 else { return nil }
    func tokens(_ count: Int) -> GraphAxis? {
      let side = Int(Double(max(0, count - prefix)).squareRoot())
      return side > 0 && side * side + prefix == count
        ? .tokens(height: side, width: side, prefix: prefix) : nil
    }
    switch (axes, value.rank) {
    case (.map, 4): return [.images, .channels, .rows, .columns]
    case (.mapChannelsLast, 4): return [.images, .rows, .columns, .channels]
    case (.tokens, 3): return tokens(value.dimensions[1]).map { [.images, $0, .channels] }
    case (.tokensLast, 3): return tokens(value.dimensions[2]).map { [.images, .channels, $0] }
    case (.none, _):
      return [.images] + [GraphAxis](repeating: .other, count: value.rank - 1)
    default: return nil
    }
  }
}
