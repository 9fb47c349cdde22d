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

  /// The message with what the system said, without the path.
  public var reason: String {
    message + (code.map { ": \(FileError.text(of: $0)) (errno \($0))" } ?? "")
  }

  /// What to do about it; empty if there is nothing to advise.
  public var advice: String {
    code == ENOSPC || code == EDQUOT ? "Free some space and run again" : ""
  }

  /// One line for people: path, message, reason, advice.
  public var description: String { "\(path): \(reason)" + (advice.isEmpty ? "" : ". \(advice)") }

  /// What the system says about an error number.
  package static func text(of code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
    return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

/// The number of a failed system call.
package struct SystemError: Error, Equatable {
  package let code: Int32
  package init(_ code: Int32) { self.code = code }

  package func error(_ kind: FileError.Kind, _ path: String, _ message: String) -> FileError {
    FileError(kind, path: path, message: message, code: code)
  }
}
