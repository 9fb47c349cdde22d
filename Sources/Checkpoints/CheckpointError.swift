/// What went wrong with a file of tensors: which file, where in it, what stood there, what should
/// have, and what to do about it.
public struct CheckpointError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The class of a failure; a command chooses its exit code by it.
  public enum Kind: Sendable, Equatable, CaseIterable {
    /// Nothing exists under that name.
    case noSuchFile
    /// A folder, a pipe or a device where a regular file was expected, or the reverse.
    case wrongKindOfFile
    /// The operating system refused to open, map or read.
    case unreadable
    /// The bytes break the rules of their format.
    case malformed
    /// The file ends before its own description of itself does.
    case truncated
    /// Sound, but a feature of the format that is not read here.
    case unsupported
    /// Larger, deeper or longer than any honest file.
    case limitExceeded
    /// A file or tensor that another file promises does not exist.
    case missing
    /// The output cannot be created.
    case cannotCreate
    /// Writing the output failed half-way; nothing is left under its final name.
    case cannotWrite
  }

  /// The class of the failure.
  public let kind: Kind
  /// The file concerned, as the caller named it.
  public let file: String
  /// The place in the file: a byte position, a tensor name, a member; empty for the whole file.
  public let place: String
  /// What stands there.
  public let found: String
  /// What was expected; empty if `found` says it all.
  public let expected: String
  /// What to do; empty if there is nothing to advise.
  public let advice: String

  /// An error made of its parts.
  public init(
    _ kind: Kind, file: String, place: String = "", found: String, expected: String = "",
    advice: String = ""
  ) {
    self.kind = kind
    self.file = file
    self.place = place
    self.found = found
    self.expected = expected
    self.advice = advice
  }

  /// One line for people: `file: place: found …; expected …. Advice.`
  public var description: String {
    var text = printable(file)
    if !place.isEmpty { text += ": " + printable(place) }
    text += ": " + printable(found)
    if !expected.isEmpty { text += "; expected " + printable(expected) }
    if !advice.isEmpty { text += ". " + printable(advice) }
    return text
  }
}

/// Text from a file made fit for one line of a terminal: control characters are escaped, and long
/// text is cut.
func printable(_ text: String) -> String {
  var result = ""
  var count = 0
  for scalar in text.unicodeScalars {
    if count == 400 { return result + "…" }
    count += 1
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate:
      result += "\\u{" + String(scalar.value, radix: 16) + "}"
    default:
      result.unicodeScalars.append(scalar)
    }
  }
  return result
}
