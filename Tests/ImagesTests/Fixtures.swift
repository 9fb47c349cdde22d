import Glibc

@testable import Images

/// The files in `Fixtures`, and scratch folders.
enum Fixture {
  static let folder: String = {
    let here = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast()
    return here.joined(separator: "/") + "/Fixtures"
  }()

  static func bytes(_ path: String) throws -> [UInt8] {
    let file = try DataFile(RawPath(folder + "/" + path), name: path)
    return try file.bytes(at: 0, exactly: file.size)
  }

  static func floats(_ path: String) throws -> [Float] {
    let bytes = try bytes(path)
    return stride(from: 0, to: bytes.count, by: 4).map { i in
      Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[i + $1]) << (8 * UInt32($1)) })
    }
  }

  /// Lines of words.
  static func table(_ path: String) throws -> [[String]] {
    String(decoding: try bytes(path), as: UTF8.self).split(separator: "\n").map {
      $0.split(separator: " ").map(String.init)
    }
  }

  static func names(_ path: String) throws -> [String] {
    guard let directory = opendir(folder + "/" + path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if !name.hasPrefix(".") { names.append(name) }
    }
    return names.sorted()
  }
}

/// A folder that is gone when the value is.
final class ScratchFolder {
  let path: String

  init() throws {
    var template = Array("/tmp/vitprobe-images-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw ImageDataError(systemError: errno, file: "/tmp") }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  func write(_ name: String, _ bytes: [UInt8]) throws {
    try write(Array(name.utf8), bytes)
  }

  /// Writes a file, and makes the folders it lies in.
  func write(_ name: [UInt8], _ bytes: [UInt8]) throws {
    let full = RawPath(path).appending(name)
    var folder = RawPath(path)
    for part in name.split(separator: UInt8(ascii: "/")).dropLast() {
      folder = folder.appending(Array(part))
      _ = folder.withCString { mkdir($0, 0o755) }
    }
    let descriptor = full.withCString { open($0, O_WRONLY | O_CREAT | O_TRUNC, 0o644) }
    guard descriptor >= 0 else { throw ImageDataError(systemError: errno, file: full.display) }
    defer { close(descriptor) }
    guard Glibc.write(descriptor, bytes, bytes.count) == bytes.count else {
      throw ImageDataError(systemError: errno, file: full.display)
    }
  }

  func makeFolder(_ name: String) { mkdir(path + "/" + name, 0o755) }

  deinit { ScratchFolder.remove(RawPath(path)) }

  private static func remove(_ path: RawPath) {
    if path.withCString({ unlink($0) }) == 0 { return }
    guard let directory = path.withCString({ opendir($0) }) else { return }
    var names: [[UInt8]] = []
    while let entry = readdir(directory) {
      names.append(withUnsafeBytes(of: entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) })
    }
    closedir(directory)
    for name in names where name != Array(".".utf8) && name != Array("..".utf8) {
      remove(path.appending(name))
    }
    _ = path.withCString { rmdir($0) }
  }
}

/// Numbers that are the same in every run.
struct SeededNumbers: RandomNumberGenerator {
  let seed: UInt64
  var index: UInt64 = 0

  init(_ seed: UInt64) { self.seed = seed }

  mutating func next() -> UInt64 {
    defer { index += 1 }
    return splitMix64(seed, index)
  }
}

/// The error that `body` throws, or nil.
func errorOf(_ body: () throws -> Void) -> ImageDataError? {
  do {
    try body()
    return nil
  } catch {
    return error as? ImageDataError
  }
}

extension DecodedImage {
  /// The 8-bit samples as RGB.
  var rgb: [UInt8] {
    guard case .bytes(let samples) = pixels else { return [] }
    return channels == 3 ? samples : samples.flatMap { [$0, $0, $0] }
  }
}

/// The largest difference of two equally long arrays; 256 if they are not.
func largestDifference(_ a: [UInt8], _ b: [UInt8]) -> Int {
  a.count == b.count ? zip(a, b).map { abs(Int($0) - Int($1)) }.max() ?? 0 : 256
}
