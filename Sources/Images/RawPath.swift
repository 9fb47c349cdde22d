import Glibc

/// A path as the bytes the file system knows, which need not be UTF-8.
struct RawPath: Sendable, Hashable {
  let bytes: [UInt8]

  init(bytes: [UInt8]) { self.bytes = bytes }
  init(_ text: String) { self.bytes = Array(text.utf8) }

  func appending(_ name: [UInt8]) -> RawPath {
    var joined = bytes
    if let last = joined.last, last != UInt8(ascii: "/") { joined.append(UInt8(ascii: "/")) }
    return RawPath(bytes: joined + name)
  }

  /// The last component.
  var name: [UInt8] {
    let trimmed = bytes.reversed().drop { $0 == UInt8(ascii: "/") }
    return Array(trimmed.prefix { $0 != UInt8(ascii: "/") }.reversed())
  }

  /// Everything before the last component; `.` if there is nothing.
  var parent: RawPath {
    let trimmed = bytes.reversed().drop { $0 == UInt8(ascii: "/") }
    guard let slash = trimmed.firstIndex(of: UInt8(ascii: "/")) else { return RawPath(".") }
    let head = Array(trimmed[slash...].reversed())
    return head.count == 1 ? RawPath("/") : RawPath(bytes: Array(head.dropLast()))
  }

  var display: String { displayText(bytes) }

  /// Whether it leads to a folder.
  var isFolder: Bool {
    var status = stat()
    return withCString { stat($0, &status) } == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Runs `body` with a C string; a path with a NUL inside names nothing and ends there.
  func withCString<R>(_ body: (UnsafePointer<CChar>) -> R) -> R {
    var terminated = bytes
    terminated.append(0)
    return terminated.withUnsafeBufferPointer { buffer in
      buffer.withMemoryRebound(to: CChar.self) { chars in
        // The buffer holds at least the terminator, so it has a base address.
        guard let base = chars.baseAddress else { preconditionFailure("empty C string") }
        return body(base)
      }
    }
  }
}

/// `bytes` as text; what is not UTF-8 appears as `\xNN`, so that different names stay different.
func displayText(_ bytes: [UInt8]) -> String {
  if let text = String(validating: bytes, as: UTF8.self) { return text }
  var text = ""
  var rest = bytes[...]
  while !rest.isEmpty {
    // The longest prefix of at most four bytes that is one scalar.
    var length = 0
    for n in 1...min(4, rest.count) where length == 0 {
      if let piece = String(validating: rest.prefix(n), as: UTF8.self) {
        text += piece
        length = n
      }
    }
    if length == 0, let byte = rest.first {
      let hex = String(byte, radix: 16)
      text += "\\x" + (hex.utf8.count == 1 ? "0" + hex : hex)
      length = 1
    }
    rest = rest.dropFirst(length)
  }
  return text
}

/// Bytewise order: it depends neither on the locale nor on Unicode normalisation.
func bytewiseLess(_ a: [UInt8], _ b: [UInt8]) -> Bool { a.lexicographicallyPrecedes(b) }
