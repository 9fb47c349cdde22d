import Glibc

/// The entries of one folder that matter here, each list sorted bytewise.
struct FolderListing {
  /// Names with the ending of an image that is read, of whatever kind: what is no readable regular file fails
  /// when it is decoded, under the policy for bad images, and so keeps its place in the order.
  var images: [[UInt8]] = []
  /// Sub-folders, links to folders included.
  var folders: [[UInt8]] = []
  /// The number of other files by ending, in lower case.
  var others: [String: Int] = [:]
  /// The first of them bytewise; a hint for messages.
  var otherFile: [UInt8]?

  /// Hidden entries (names that begin with a period, as the `._x.jpg` of macOS) are left out.
  ///
  /// - Throws: `notFound` or `unreadable`.
  init(_ path: RawPath, name: String) throws(ImageDataError) {
    let (opened, failure) = path.withCString { path in
      let result = opendir(path)
      return (result, errno)
    }
    guard let directory = opened else { throw ImageDataError(systemError: failure, file: name) }
    defer { closedir(directory) }
    while true {
      errno = 0
      guard let entry = readdir(directory) else { break }
      let bytes = FolderListing.name(entry)
      guard let first = bytes.first, first != UInt8(ascii: ".") else { continue }
      if FolderListing.isFolder(entry, path, bytes) {
        folders.append(bytes)
        continue
      }
      let ending = FolderListing.ending(bytes)
      switch ending {
      case "png", "jpg", "jpeg", "jpe", "jfif", "ppm", "pgm", "bmp", "tif", "tiff",
        "webp":
        images.append(bytes)
      default:
        others[ending, default: 0] += 1
        if otherFile.map({ bytewiseLess(bytes, $0) }) ?? true { otherFile = bytes }
      }
    }
    guard errno == 0 else { throw ImageDataError(systemError: errno, file: name) }
    images.sort(by: bytewiseLess)
    folders.sort(by: bytewiseLess)
  }

  private static func name(_ entry: UnsafeMutablePointer<dirent>) -> [UInt8] {
    // `d_name` is declared with 256 bytes; it ends at its NUL.
    let offset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 0
    let text = UnsafeRawPointer(entry).advanced(by: offset).assumingMemoryBound(to: UInt8.self)
    let length = strlen(UnsafeRawPointer(text).assumingMemoryBound(to: CChar.self))
    return Array(UnsafeBufferPointer(start: text, count: length))
  }

  private static func isFolder(
    _ entry: UnsafeMutablePointer<dirent>, _ path: RawPath, _ name: [UInt8]
  ) -> Bool {
    switch Int(entry.pointee.d_type) {
    case Int(DT_DIR): return true
    case Int(DT_LNK), Int(DT_UNKNOWN):
      return path.appending(name).isFolder
    default: return false
    }
  }

  /// The part after the last period, in lower case.
  private static func ending(_ name: [UInt8]) -> String {
    guard let dot = name.lastIndex(of: UInt8(ascii: ".")), name.count - dot <= 8 else { return "" }
    let lower = name[(dot + 1)...].map { (65...90).contains($0) ? $0 + 32 : $0 }
    return String(decoding: lower, as: UTF8.self)
  }
}

/// Which file system object a path leads to; a folder met again below itself is a loop.
struct FileIdentity: Hashable {
  let device: UInt64
  let inode: UInt64

  init?(_ path: RawPath) {
    var status = stat()
    guard path.withCString({ stat($0, &status) }) == 0 else { return nil }
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
  }
}
