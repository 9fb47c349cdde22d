/// Why the results of a run could not be read back.
public struct ResultsError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What went wrong, by what a caller does about it.
  public enum Kind: Sendable {
    /// There are no such results (exit code 66).
    case missing
    /// What is there is not what a run writes (65).
    case damaged
    /// Reading failed on the way (74).
    case unreadable
  }

  /// Which exit code this is.
  public let kind: Kind
  /// The file or folder.
  public let path: String
  /// Where, what was found, what was expected and what to do.
  public let message: String

  /// Makes one from its parts; see the properties.
  public init(_ kind: Kind, path: String, message: String) {
    self.kind = kind
    self.path = path
    self.message = message
  }

  /// One line for people.
  public var description: String { "\(path): \(message)" }
}
