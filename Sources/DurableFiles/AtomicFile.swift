import Glibc

/// A file that appears whole or not at all.
///
/// Bytes go to a temporary file in the same folder; ``commit()`` makes them durable and renames it
/// over `path`. Without a commit nothing is left, and what stood at `path` stays as it was.
public struct AtomicFile: ~Copyable {
  /// Where the file appears, as it was given.
  public let path: String
  /// The length so far in bytes.
  public private(set) var size = 0
  private let calls: FileSystemCalls
  private let target: String
  private let temporary: String
  /// Nil once it is closed.
  private var file: Int32?
  private var isTemporaryThere = true

  /// The first letters of every name that is ours to remove.
  package static let prefix = ".vitprobe-"

  /// - Throws: ``FileError`` `.cannotCreate` if `path` is no name of a file, a folder or a device,
  ///   or if its folder cannot be written to.
  public init(_ path: String) throws(FileError) { try self.init(path, .system) }

  package init(_ path: String, _ calls: FileSystemCalls) throws(FileError) {
    func failure(_ message: String) -> FileError {
      FileError(.cannotCreate, path: path, message: message)
    }
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw failure("is not a possible name; name a file")
    }
    // Through a link, the file it leads to is replaced, not the link.
    let target = Self.resolved(path)
    switch PathKind.at(target) {
    case .folder: throw failure("is a folder; name a file")
    case .other:
      throw failure("is not a regular file, and replacing it would break it; name another file")
    case .nothing where path.hasSuffix("/"): throw failure("is no name of a file; name a file")
    case .nothing, .file: break
    }
    var mode: mode_t = 0o666
    var status = stat()
    let replaces = stat(target, &status) == 0
    if replaces { mode = status.st_mode & 0o777 }

    let folder = PathKind.parent(of: target)
    var attempt = 0
    while true {
      let name = PathKind.join(folder, "\(Self.prefix)\(getpid())-\(attempt).tmp")
      do throws(SystemError) {
        file = try calls.openThroughInterruptions(
          name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode)
        temporary = name
        break
      } catch {
        attempt += 1
        if error.code != EEXIST || attempt > 10_000 {
          throw error.error(.cannotCreate, path, "cannot create a file in its folder")
        }
      }
    }
    self.path = path
    self.calls = calls
    self.target = target
    // The mask of the process does not apply to a file that had its mode already.
    if replaces, let file { fchmod(file, mode) }
  }

  deinit {
    if let file { try? calls.close(file) }
    if isTemporaryThere { try? calls.remove(temporary) }
  }

  /// Writes bytes at an offset; a hole before them reads as zeros.
  /// - Throws: ``FileError`` `.io`.
  public mutating func write(
    _ bytes: UnsafeRawBufferPointer, at offset: Int
  ) throws(FileError) {
    guard let file else { preconditionFailure("written after its end: \(path)") }
    do throws(SystemError) {
      try calls.writeAll(bytes, to: file, at: offset)
    } catch {
      throw error.error(.io, path, "cannot write it")
    }
    size = max(size, offset + bytes.count)
  }

  /// Writes bytes at an offset; a hole before them reads as zeros.
  /// - Throws: ``FileError`` `.io`.
  public mutating func write(_ bytes: [UInt8], at offset: Int) throws(FileError) {
    try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) in
      try write(UnsafeRawBufferPointer(buffer), at: offset)
    }
  }

  /// Adds bytes at the end.
  /// - Throws: ``FileError`` `.io`.
  public mutating func append(_ bytes: [UInt8]) throws(FileError) { try write(bytes, at: size) }

  /// Puts the file in its place.
  /// - Throws: ``FileError`` `.io`; what stood at the path still stands there, or the whole new
  ///   file does if only the synchronisation of its folder failed.
  public consuming func commit() throws(FileError) {
    guard let file else { preconditionFailure("committed after its end: \(path)") }
    var step = "make it durable"
    do throws(SystemError) {
      try calls.syncThroughInterruptions(file)
      self.file = nil
      step = "close it"
      try calls.closeChecked(file)
      step = "give it its name"
      try calls.rename(temporary, target)
      isTemporaryThere = false
      step = "make its folder durable"
      try calls.syncFolder(PathKind.parent(of: target))
    } catch {
      throw error.error(.io, path, "cannot \(step)")
    }
  }

  /// Writes a whole file at once.
  /// - Throws: as ``init(_:)`` and ``commit()``.
  public static func write(_ bytes: [UInt8], to path: String) throws(FileError) {
    var file = try AtomicFile(path)
    try file.append(bytes)
    try file.commit()
  }

  private static func resolved(_ path: String) -> String {
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }
}
