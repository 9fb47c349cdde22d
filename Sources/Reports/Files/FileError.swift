import Glibc

/// Why a file or folder could not be read or written.
public struct FileError: Error, Sendable, Equatable, CustomStringConvertible {
  /// What went wrong, by what a caller does about it.
  public enum Kind: Sendable {
    /// There is no such file (exit code 66).
    case missing
    /// The output cannot be created, or stands where something else must not be lost (73).
    case cannotCreate
    /// Reading or writing failed on the way (74).
    case io
  }

  /// Which exit code this is.
  public let kind: Kind
  /// The file or folder.
  public let path: String
  /// What was being done, what was found and what to do.
  public let message: String
  /// The system's error number, if a system call failed.
  public let code: Int32?

  /// Makes one from its parts; see the properties.
  public init(_ kind: Kind, path: String, message: String, code: Int32? = nil) {
    self.kind = kind
    self.path = path
    self.message = message
    self.code = code
  }

  /// One line for people: path, message, reason.
  public var description: String {
    let reason = code.map { ": \(String(cString: strerror($0))) (errno \($0))" } ?? ""
    return "\(path): \(message)\(reason)"
  }
}

/// The number of a failed system call.
struct SystemError: Error, Equatable {
  let code: Int32
  init(_ code: Int32) { self.code = code }

  func error(_ kind: FileError.Kind, _ path: String, _ message: String) -> FileError {
    FileError(kind, path: path, message: message, code: code)
  }
}
