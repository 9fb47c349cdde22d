import Glibc

/// A file that grows piece by piece while a run goes on, for a later run to continue from.
///
/// A process that dies leaves every piece whose `append` returned, and at most a part of one
/// more. Only a failure of the machine can lose pieces that were not made durable yet.
public final class AppendFile {
  /// Where it stands.
  public let path: String
  private let calls: FileSystemCalls
  private var file: Int32
  /// Bytes of whole pieces: where the next begins.
  public private(set) var length: Int
  private var isBroken = false

  /// Makes a file that begins with `head`, in the place of whatever file stands there. It appears
  /// with its whole head or not at all.
  /// - Throws: ``FileError`` `.cannotCreate`.
  public convenience init(creating path: String, head: [UInt8]) throws(FileError) {
    try self.init(creating: path, head: head, .system)
  }

  package init(creating path: String, head: [UInt8], _ calls: FileSystemCalls) throws(FileError) {
    self.path = path
    self.calls = calls
    let temporary = Self.temporary(path)
    var opened: Int32?
    do throws(SystemError) {
      let file = try calls.openThroughInterruptions(
        temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o666)
      opened = file
      try calls.writeAll(head, to: file, at: 0)
      try calls.syncThroughInterruptions(file)
      try calls.rename(temporary, path)
      self.file = file
      length = head.count
    } catch {
      if let opened {
        try? calls.close(opened)
        try? calls.remove(temporary)
      }
      throw error.error(.cannotCreate, path, "cannot create this file")
    }
  }

  /// Opens a file to go on after its first `length` bytes; what follows them is cut off.
  /// - Throws: ``FileError`` `.cannotCreate`.
  public convenience init(continuing path: String, after length: Int) throws(FileError) {
    try self.init(continuing: path, after: length, .system)
  }

  package init(continuing path: String, after length: Int, _ calls: FileSystemCalls)
    throws(FileError)
  {
    self.path = path
    self.calls = calls
    self.length = length
    var opened: Int32?
    do throws(SystemError) {
      let file = try calls.openThroughInterruptions(path, O_WRONLY | O_NOFOLLOW, 0)
      opened = file
      try calls.truncate(file, length)
      self.file = file
    } catch {
      if let opened { try? calls.close(opened) }
      throw error.error(.cannotCreate, path, "cannot go on with this file")
    }
  }

  deinit { try? calls.close(file) }

  /// Adds a piece at the end.
  /// - Throws: ``FileError`` `.io`; the pieces before it are whole, and no further one is taken.
  public func append(_ bytes: [UInt8]) throws(FileError) {
    try bytes.withUnsafeBufferPointer { (buffer) throws(FileError) in
      try append(UnsafeRawBufferPointer(buffer))
    }
  }

  /// Adds a piece at the end.
  /// - Throws: ``FileError`` `.io`; the pieces before it are whole, and no further one is taken.
  public func append(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    guard !isBroken else {
      throw FileError(.io, path: path, message: "cannot write it, since an earlier write failed")
    }
    do throws(SystemError) {
      try calls.writeAll(bytes, to: file, at: length)
      length += bytes.count
    } catch {
      isBroken = true
      // If this fails as well, a torn piece stays, which a reader sees by its checksum.
      try? calls.truncate(file, length)
      throw error.error(.io, path, "cannot write it")
    }
  }

  /// Makes all pieces durable.
  /// - Throws: ``FileError`` `.io`.
  public func sync() throws(FileError) {
    do throws(SystemError) {
      try calls.syncThroughInterruptions(file)
    } catch {
      throw error.error(.io, path, "cannot make it durable")
    }
  }

  /// Removes the file, unless another stands in its place by now.
  public func remove() {
    var ours = stat()
    var there = stat()
    if fstat(file, &ours) == 0, lstat(path, &there) == 0, ours.st_ino == there.st_ino,
      ours.st_dev == there.st_dev
    {
      try? calls.remove(path)
    }
  }

  /// The whole of a regular file; nil if nothing stands at the path.
  /// - Throws: ``FileError`` `.io` if it cannot be read or is longer than `limit` bytes.
  public static func contents(
    _ path: String, limit: Int = 1 << 36
  ) throws(FileError) -> [UInt8]? {
    try RegularFile.contents(path, limit: limit)
  }

  /// Removes a file that nobody has open, if it is there.
  public static func remove(_ path: String) { try? FileSystemCalls.system.remove(path) }

  private static func temporary(_ path: String) -> String { path + ".new" }
}
