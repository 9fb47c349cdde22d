import DurableFiles
import Glibc

/// A regular file whose failures are those of image data. Any number of threads may read it at the
/// same time.
struct DataFile: Sendable {
  let name: String
  private let file: RegularFile

  /// Opens `path`. Pipes, devices, sockets and folders are refused without waiting for them.
  ///
  /// - Throws: `notFound` or `unreadable`.
  init(_ path: RawPath, name: String) throws(ImageDataError) {
    self.name = name
    do throws(RegularFile.Failure) {
      file = try RegularFile(path.bytes)
    } catch {
      throw ImageDataError(error, file: name)
    }
  }

  /// Bytes when it was opened.
  var size: Int { file.size }

  /// The bytes at `offset`, as many as there are up to `count`.
  func bytes(at offset: Int, upTo count: Int) throws(ImageDataError) -> [UInt8] {
    do throws(SystemError) {
      return try file.bytes(at: offset, upTo: count)
    } catch {
      throw ImageDataError(.system(error), file: name)
    }
  }

  /// Exactly `count` bytes at `offset`; the file may have shrunk since it was opened.
  func bytes(at offset: Int, exactly count: Int) throws(ImageDataError) -> [UInt8] {
    let result = try bytes(at: offset, upTo: count)
    guard result.count == count else {
      throw ImageDataError(
        .damaged, file: name, place: "byte \(offset)", found: "\(result.count) bytes",
        expected: "\(count)", advice: "The file ends early or changed while it was read")
    }
    return result
  }
}

extension ImageDataError {
  /// Why a file or folder could not be opened or read.
  init(_ failure: RegularFile.Failure, file: String) {
    let kind: Kind = failure.isMissing ? .notFound : .unreadable
    switch failure {
    case .impossibleName: self.init(kind, file: file, found: "not a possible name")
    case .notRegular(let found):
      self.init(kind, file: file, found: found, expected: "a regular file")
    case .system where failure.isMissing:
      self.init(
        kind, file: file, found: "no such file or folder", advice: "Check the spelling of the path")
    case .system(let error): self.init(kind, file: file, found: FileError.text(of: error.code))
    }
  }

  /// As the system's error number says.
  init(systemError code: Int32, file: String) {
    self.init(.system(SystemError(code)), file: file)
  }
}
