/// What is wrong with a JSON document, and where.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The class of a failure.
  public enum Kind: Sendable, Equatable {
    /// The text breaks the grammar.
    case malformed
    /// The text ends before the document does.
    case truncated
    /// Larger, deeper or of more values than the limits allow.
    case limitExceeded
  }

  /// The class of the failure.
  public let kind: Kind
  /// Bytes before the place.
  public let offset: Int
  /// What stands there.
  public let found: String
  /// What was expected there.
  public let expected: String

  init(_ kind: Kind, offset: Int, found: String, expected: String) {
    self.kind = kind
    self.offset = offset
    self.found = found
    self.expected = expected
  }

  /// One line for people.
  public var description: String {
    "byte \(offset): found \(found), expected \(expected)"
  }
}
