/// Why images could not be read: which file, where in it, what was found, what was expected, and
/// what to do about it.
public struct ImageDataError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The kind of failure; a command derives its exit status from it.
  public enum Kind: String, Sendable, Hashable, Codable {
    /// There is no such file.
    case notFound
    /// The file exists and cannot be read (permissions, an I/O error, not a regular file).
    case unreadable
    /// The content contradicts its format.
    case damaged
    /// The content is legal, but of a variant that is not read.
    case unsupported
    /// A limit on pixels, bytes or scans would be exceeded.
    case tooLarge
    /// The request does not fit the data (a label is missing, a size does not match).
    case mismatch
    /// A setting is out of its range.
    case setting
  }

  /// The kind of failure.
  public let kind: Kind
  /// The file or folder, as the user named it or relative to the data set's root.
  public let file: String
  /// The place in the file: a record, a line, an offset.
  public let place: String?
  /// What was found.
  public let found: String
  /// What was expected instead.
  public let expected: String?
  /// What to do.
  public let advice: String?

  /// Creates an error; texts are fragments without a final period.
  public init(
    _ kind: Kind, file: String, place: String? = nil, found: String, expected: String? = nil,
    advice: String? = nil
  ) {
    self.kind = kind
    self.file = file
    self.place = place
    self.found = found
    self.expected = expected
    self.advice = advice
  }

  /// One line: `file, place: found; expected …. Advice`.
  public var description: String {
    var text = file
    if let place { text += text.isEmpty ? place : ", \(place)" }
    text += text.isEmpty ? found : ": \(found)"
    if let expected { text += "; expected \(expected)" }
    if let advice { text += ". \(advice)" }
    return text
  }
}
