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

  private let file: RegularFile
  /// The file that this is a part of, and where in it.
  private let whole: (file: MappedFile, start: Int)?

  /// Maps the file at `path`.
  ///
  /// - Throws: ``CheckpointError`` if there is no such file, if it is a folder, a pipe or a device,
  ///   if it is empty, or if the system refuses to open or map it.
  public init(path: String) throws(CheckpointError) {
    let file: RegularFile
    do throws(RegularFile.Failure) {
      file = try RegularFile(path)
    } catch {
      throw CheckpointError(error, file: path)
    }
    guard file.size > 0 else {
      throw CheckpointError(
        .truncated, file: path, found: "the file is empty",
        advice: "Copy or download it again")
    }
    let address = mmap(nil, file.size, PROT_READ, MAP_PRIVATE, file.descriptor, 0)
    guard let address, address != MAP_FAILED else {
      let reason = FileError.text(of: errno)
      throw CheckpointError(.unreadable, file: path, found: "cannot map the file: \(reason)")
    }
    self.path = path
    self.bytes = UnsafeRawBufferPointer(start: address, count: file.size)
    self.file = file
    whole = nil
  }

  private init(_ bytes: UnsafeRawBufferPointer, of whole: MappedFile, at start: Int) {
    (path, file, self.bytes) = (whole.path, whole.file, bytes)
    self.whole = (whole, start)
  }

  /// A part of the file as a file of its own: one within an archive. Nil where it reaches beyond the end.
  func part(at start: Int, length: Int) -> MappedFile? {
    bytes.part(at: start, length: length).map { MappedFile($0, of: self, at: start) }
  }

  deinit {
    if whole == nil { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }
  }

  /// Length of the file in bytes.
  public var count: Int { bytes.count }

  /// Throws if the file was cut short, extended or rewritten in place since it was mapped.
  public func requireUnchanged() throws(CheckpointError) {
    guard file.isUnchanged else {
      throw CheckpointError(
        .unreadable, file: path, found: "the file was changed while it was being read",
        advice: "Run again once nothing writes to it")
    }
  }

  /// Asks the kernel to fetch `range` ahead of its use.
  func prefetch(_ range: Range<Int>) {
    if let (file, start) = whole {
      return file.prefetch(start + range.lowerBound..<start + range.upperBound)
    }
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
    if let (file, start) = whole { return try file.read(at: start + offset, into: target) }
    try requireUnchanged()
    let count: Int
    do throws(SystemError) {
      count = try file.read(at: offset, into: target)
    } catch {
      throw CheckpointError(
        .unreadable, file: path, found: "cannot read the file: \(FileError.text(of: error.code))")
    }
    guard count == target.count else {
      throw CheckpointError(
        .unreadable, file: path,
        found: "cannot read the file: it ends at byte \(offset + count)")
    }
  }
}

extension CheckpointError {
  /// Why a file could not be opened.
  fileprivate init(_ failure: RegularFile.Failure, file: String) {
    switch failure {
    case .impossibleName: self.init(.noSuchFile, file: file, found: "not a possible file name")
    case .notRegular(let found):
      self.init(.wrongKindOfFile, file: file, found: found, expected: "a regular file")
    case .system where failure.isMissing:
      self.init(
        .noSuchFile, file: file, found: "no such file", advice: "Check the spelling of the path")
    case .system(let error):
      self.init(
        .unreadable, file: file,
        found: "cannot open the file: \(FileError.text(of: error.code))")
    }
  }
}
