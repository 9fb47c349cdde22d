/// Bounds on a JSON document, against files made to exhaust memory or the stack.
public struct JSONLimits: Sendable {
  /// Length of the text.
  public var bytes: Int
  /// Depth of nested lists and objects.
  public var depth: Int
  /// Number of values of all kinds.
  public var values: Int

  /// The given bounds; 100 MB, 64 levels and 4 million values by default.
  public init(bytes: Int = 100_000_000, depth: Int = 64, values: Int = 4_000_000) {
    self.bytes = bytes
    self.depth = depth
    self.values = values
  }
}
