import Glibc

/// A file that appears whole or not at all.
///
/// Bytes go to a temporary file in the same folder; ``commit()`` makes them durable and renames it
/// over `path`. Without a commit nothing is left, and what stood at `path` stays as it was.
public final class AtomicFile {
  /// Where the file appears, as it was given.
  public let path: String
  /// Bytes written so far.
  public private(set) var size = 0
  private let calls: FileSystemCalls
  private let hash = SHA256()
  private let target: String
  private let temporary: String
  private var file: Int32?
  private var isTemporaryThere = true

  /// The first letters of every name that is ours to remove.
  static let prefix = ".vitprobe-"

  /// - Throws: ``FileError`` `.cannotCreate` if `path` is a folder or a device, or its folder
  ///   cannot be written to.
  public convenience init(_ path: String) throws(FileError) { try self.init(path, .system) }

  init(_ path: String, _ calls: FileSystemCalls) throws(FileError) {
    self.path = path
    self.calls = calls
    // Through a link, the file it leads to is replaced, not the link.
    target = Self.resolved(path)
    switch PathKind.at(target) {
    case .folder:
      throw FileError(.cannotCreate, path: path, message: "is a folder; name a file")
    case .other:
      throw FileError(
        .cannotCreate, path: path,
        message: "is not a regular file, and replacing it would break it; name another file")
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
    // The mask of the process does not apply to a file that had its mode already.
    if replaces, let file { fchmod(file, mode) }
  }

  deinit { discard() }

  /// Adds bytes at the end.
  /// - Throws: ``FileError`` `.io`; the temporary file is gone then.
  public func write(_ bytes: [UInt8]) throws(FileError) {
    guard let file else { preconditionFailure("written after its end: \(path)") }
    let calls = calls
    do throws(SystemError) {
      try bytes.withUnsafeBufferPointer { (buffer) throws(SystemError) in
        try calls.writeAll(UnsafeRawBufferPointer(buffer), to: file)
      }
    } catch {
      discard()
      throw error.error(.io, path, "cannot write it")
    }
    hash.update(bytes)
    size += bytes.count
  }

  /// Adds text as UTF-8.
  public func write(_ text: String) throws(FileError) { try write(Array(text.utf8)) }

  /// Puts the file in its place and returns its SHA-256.
  /// - Throws: ``FileError`` `.io`; what stood at the path still stands there, or the whole new
  ///   file does if only the folder's own synchronisation failed.
  @discardableResult
  public func commit() throws(FileError) -> String {
    guard let file else { preconditionFailure("committed after its end: \(path)") }
    do throws(SystemError) {
      try calls.syncThroughInterruptions(file)
      self.file = nil
      try calls.closeChecked(file)
      try calls.rename(temporary, target)
      isTemporaryThere = false
      try calls.syncFolder(PathKind.parent(of: target))
    } catch {
      discard()
      throw error.error(.io, path, "cannot finish it")
    }
    return hash.finish()
  }

  /// Drops what was written.
  public func discard() {
    if let file { try? calls.close(file) }
    file = nil
    if isTemporaryThere { try? calls.remove(temporary) }
    isTemporaryThere = false
  }

  /// Writes a whole file at once and returns its SHA-256.
  @discardableResult
  public static func write(_ bytes: [UInt8], to path: String) throws(FileError) -> String {
    let file = try AtomicFile(path)
    try file.write(bytes)
    return try file.commit()
  }

  private static func resolved(_ path: String) -> String {
    guard let real = realpath(path, nil) else { return path }
    defer { free(real) }
    return String(cString: real)
  }
}
