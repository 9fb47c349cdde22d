import DurableFiles
import Glibc

/// A regular file mapped read-only into memory for as long as the object lives.
///
/// Nothing is read until a page is touched. A file that another program cuts short while it is
/// mapped cannot be read safely; ``requireUnchanged()`` notices that before bytes are used.
public final class MappedFile: @unchecked Sendable {
  // Sendable: every stored property is a constant, and the mapping is never written to.

  /// The path as the caller gave it.
  public let path: String
  /// All bytes of the file; valid only while this object is alive.
  public let bytes: UnsafeRawBufferPointer

  private let descriptor: CInt
  private let modified: timespec

  /// Maps the file at `path`.
  ///
  /// - Throws: ``CheckpointError`` if there is no such file, if it is a folder, a pipe or a device,
  ///   if it is empty, or if the system refuses to open or map it.
  public init(path: String) throws(CheckpointError) {
    let file = try RegularFile(opening: path)
    guard file.size > 0 else {
      close(file.descriptor)
      throw CheckpointError(
        .truncated, file: path, found: "the file is empty",
        advice: "Copy or download it again")
    }
    let address = mmap(nil, file.size, PROT_READ, MAP_PRIVATE, file.descriptor, 0)
    guard let address, address != MAP_FAILED else {
      let reason = FileError.text(of: errno)
      close(file.descriptor)
      throw CheckpointError(.unreadable, file: path, found: "cannot map the file: \(reason)")
    }
    self.path = path
    self.bytes = UnsafeRawBufferPointer(start: address, count: file.size)
    self.descriptor = file.descriptor
    self.modified = file.modified
  }

  deinit {
    munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
    close(descriptor)
  }

  /// Length of the file in bytes.
  public var count: Int { bytes.count }

  /// Throws if the file was cut short, extended or rewritten in place since it was mapped.
  public func requireUnchanged() throws(CheckpointError) {
    var status = stat()
    guard fstat(descriptor, &status) == 0, Int(status.st_size) == bytes.count,
      status.st_mtim.tv_sec == modified.tv_sec, status.st_mtim.tv_nsec == modified.tv_nsec
    else {
      throw CheckpointError(
        .unreadable, file: path, found: "the file was changed while it was being read",
        advice: "Run again once nothing writes to it")
    }
  }

  /// Asks the kernel to fetch `range` ahead of its use.
  func prefetch(_ range: Range<Int>) {
    guard !range.isEmpty, let base = bytes.baseAddress else { return }
    let page = max(sysconf(CInt(_SC_PAGESIZE)), 1)
    let start = range.lowerBound / page * page
    madvise(
      UnsafeMutableRawPointer(mutating: base + start), range.upperBound - start, MADV_WILLNEED)
  }

  /// Copies the bytes from `offset` on into `target` by reading instead of through the mapping, whose
  /// pages would stay in memory.
  ///
  /// - Throws: ``CheckpointError`` if the file was changed since it was mapped, or reading fails.
  func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) throws(CheckpointError) {
    try requireUnchanged()
    var done = 0
    while done < target.count {
      let count = pread(
        descriptor, target.baseAddress?.advanced(by: done), min(target.count - done, 1 << 30),
        offset + done)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        let reason = count < 0 ? FileError.text(of: errno) : "it ends at byte \(offset + done)"
        throw CheckpointError(.unreadable, file: path, found: "cannot read the file: \(reason)")
      }
      done += count
    }
  }
}

/// A regular file opened for reading, with what `fstat` says of it. The opener closes it.
struct RegularFile {
  let descriptor: CInt
  let size: Int
  let modified: timespec

  init(opening path: String) throws(CheckpointError) {
    guard !path.isEmpty, !path.utf8.contains(0) else {
      throw CheckpointError(.noSuchFile, file: path, found: "not a possible file name")
    }
    // Without O_NONBLOCK, opening a pipe would wait for its writer.
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else {
      let code = errno
      guard code == ENOENT || code == ENOTDIR else {
        throw CheckpointError(
          .unreadable, file: path, found: "cannot open the file: \(FileError.text(of: code))")
      }
      throw CheckpointError(
        .noSuchFile, file: path, found: "no such file", advice: "Check the spelling of the path")
    }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else {
      let reason = FileError.text(of: errno)
      close(descriptor)
      throw CheckpointError(.unreadable, file: path, found: "cannot inspect the file: \(reason)")
    }
    let type = status.st_mode & S_IFMT
    guard type == S_IFREG else {
      close(descriptor)
      throw CheckpointError(
        .wrongKindOfFile, file: path,
        found: type == S_IFDIR ? "a folder" : "a pipe, socket or device",
        expected: "a regular file")
    }
    self.descriptor = descriptor
    self.size = Int(status.st_size)
    self.modified = status.st_mtim
  }
}
