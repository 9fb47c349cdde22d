import Glibc

/// A folder for one test, gone with everything in it when the object is.
package final class Scratch: Sendable {
  package let path: String

  package init() {
    var template = Array("/tmp/vitprobe-tests-XXXXXX".utf8CString)
    path =
      mkdtemp(&template) == nil
      ? "" : String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit { Self.remove(path) }

  /// The path of a file in the folder.
  package func file(_ name: String) -> String { path + "/" + name }

  /// Writes a file and returns its path.
  @discardableResult
  package func write(_ bytes: [UInt8], as name: String) -> String {
    let target = file(name)
    let descriptor = open(target, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if written <= 0 { break }
      rest = rest.dropFirst(written)
    }
    close(descriptor)
    return target
  }

  /// Writes a text and returns its path.
  @discardableResult
  package func write(_ text: String, as name: String) -> String {
    write(Array(text.utf8), as: name)
  }

  /// Makes a folder and returns its path.
  package func folder(_ name: String) -> String {
    mkdir(file(name), 0o700)
    return file(name)
  }

  /// The names in the folder or in one below it, sorted.
  package func names(in folder: String = "") -> [String] { Self.entries(file(folder)).sorted() }

  /// Every file below with its text, by its path from the folder; folders end in `/`.
  package var contents: [String: String] {
    var found: [String: String] = [:]
    func visit(_ prefix: String) {
      for name in Self.entries(file(prefix)) {
        let inner = prefix + name
        var status = stat()
        if lstat(file(inner), &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
          found[inner + "/"] = ""
          visit(inner + "/")
        } else {
          found[inner] = Self.read(file(inner)).map { String(decoding: $0, as: UTF8.self) }
        }
      }
    }
    visit("")
    return found
  }

  /// The content of a file; nil if there is none.
  package static func read(_ path: String) -> [UInt8]? {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count <= 0 { return bytes }
      bytes += chunk[..<count]
    }
  }

  package static func entries(_ path: String) -> [String] {
    guard let stream = opendir(path) else { return [] }
    defer { closedir(stream) }
    var result: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { result.append(name) }
    }
    return result
  }

  private static func remove(_ path: String) {
    for name in entries(path) {
      let inner = path + "/" + name
      if unlink(inner) != 0 { remove(inner) }
    }
    rmdir(path)
  }
}
