/// A folder of image files, either flat or with one sub-folder for each class.
///
/// As in torchvision's `ImageFolder`, classes are the sub-folders in order of their names, each with
/// all images below it; within a class, folders come in order, and files in order within them. All
/// orders are bytewise. Links are followed, but not into a folder that contains them.
struct ImageFolder: ImageSource {
  let classNames: [String]
  var isLabelledByName: Bool { !classNames.isEmpty }
  private(set) var notes: [String] = []

  private struct Entry {
    let folder: Int32
    let label: Int32
    let name: [UInt8]
  }

  private let root: RawPath
  /// Paths of folders relative to the root, empty for the root itself.
  private var folders: [[UInt8]] = []
  private var entries: [Entry] = []

  /// Lists the folder at `path`; no image is opened.
  ///
  /// - Throws: `notFound`, `unreadable`; `mismatch` if the folder holds no images, if a class is
  ///   empty (unless allowed), or if images and class folders are mixed.
  init(
    _ path: String, allowEmptyClasses: Bool = false, limits: ImageLimits = ImageLimits()
  ) throws(ImageDataError) {
    try self.init(
      RawPath(path), allowEmptyClasses: allowEmptyClasses, limits: limits)
  }

  init(
    _ root: RawPath, allowEmptyClasses: Bool, limits: ImageLimits
  ) throws(ImageDataError) {
    self.root = root
    let top = try FolderListing(root, name: root.display)
    var scan = Scan(root: root, limits: limits)
    scan.count(top)
    if !top.images.isEmpty { scan.add(top.images, in: [], label: -1) }
    var empty: [[UInt8]] = []
    var nestedOnly = !top.folders.isEmpty
    for (label, name) in top.folders.enumerated() {
      let before = scan.entries.count
      let direct = try scan.addClass(name, label: Int32(clamping: label))
      if scan.entries.count == before { empty.append(name) }
      if direct > 0 { nestedOnly = false }
    }

    let classImages = scan.entries.count - top.images.count
    if !top.images.isEmpty && classImages > 0 {
      throw ImageDataError(
        .mismatch, file: root.display,
        found: "\(top.images.count) images beside \(classImages) in sub-folders",
        expected: "either images, or class folders of images",
        advice: "Move \(displayText(top.images[0])) and its like into a folder of their class")
    }
    guard !scan.entries.isEmpty else { throw ImageFolder.noImages(root, top, scan) }
    if classImages > 0, !empty.isEmpty, !allowEmptyClasses {
      throw ImageDataError(
        .mismatch, file: root.appending(empty[0]).display,
        found: "no image file"
          + (empty.count > 1 ? ", nor in \(empty.count - 1) others" : ""),
        expected: "at least one in each class folder", advice: "Remove the empty folder")
    }
    classNames = classImages > 0 ? top.folders.map(displayText) : []
    folders = scan.folders
    entries = scan.entries
    if let example = scan.otherExample {
      notes.append(
        "\(root.display): files without the ending of an image that is read were left out: "
          + "\(scan.leftOut) (\(displayText(example)))")
    }
    for loop in scan.loops {
      notes.append("\(root.display): the link \(loop) leads back to a folder above it")
    }
    if classImages > 0 && nestedOnly {
      notes.append(
        "\(root.display): the images of every class (\(classNames[0]), …) lie in folders below it; "
          + "if those are the classes, name the folder above them")
    }
  }

  var count: Int { entries.count }

  func id(_ index: Int) -> String { displayText(relativePath(index)) }

  func label(_ index: Int) -> Int? {
    let label = entries[index].label
    return label >= 0 ? Int(label) : nil
  }

  func decode(
    _ index: Int, limits: ImageLimits
  ) throws(ImageDataError) -> DecodedImage {
    try ImageFile.decode(path(index), limits: limits)
  }

  func inputFiles(of indices: [Int]) -> [InputFile] {
    indices.map { InputFile(path($0)) }
  }

  private func relativePath(_ index: Int) -> [UInt8] {
    let entry = entries[index]
    let folder = folders[Int(entry.folder)]
    return folder.isEmpty ? entry.name : RawPath(bytes: folder).appending(entry.name).bytes
  }

  private func path(_ index: Int) -> RawPath { root.appending(relativePath(index)) }

  private static func noImages(
    _ root: RawPath, _ top: FolderListing, _ scan: Scan
  ) -> ImageDataError {
    var found = "no image file"
    var advice: String?
    if let example = scan.otherExample, scan.others.keys.contains(where: ImageFolder.isImage) {
      found += ", but \(scan.leftOut) (\(displayText(example)))"
      advice = "Convert them to PNG first"
    } else if let other = top.otherFile {
      found += ", but other files (\(displayText(other)))"
      advice = "For IDX, CIFAR or array files, name the file instead of its folder"
    }
    return ImageDataError(
      .mismatch, file: root.display, found: found,
      expected: "images, or class folders of images", advice: advice)
  }

  /// Whether the ending is that of an image format that is not read.
  private static func isImage(_ ending: String) -> Bool {
    ["gif", "avif", "heic", "heif", "jp2", "jxl", "svg", "raw", "dng", "tga", "psd"].contains(
      ending)
  }

  /// The walk through the folders.
  private struct Scan {
    let root: RawPath
    let limits: ImageLimits
    var folders: [[UInt8]] = []
    var entries: [Entry] = []
    /// Files that were left out, by ending.
    var others: [String: Int] = [:]
    var otherExample: [UInt8]?
    var loops: [String] = []

    mutating func count(_ listing: FolderListing) {
      others.merge(listing.others, uniquingKeysWith: +)
      otherExample = otherExample ?? listing.otherFile
    }

    /// How many were left out of each ending.
    var leftOut: String {
      others.sorted { $0.value != $1.value ? $0.value > $1.value : $0.key < $1.key }
        .map { "\($1) \($0.isEmpty ? "without an ending" : ".\($0)")" }.joined(separator: ", ")
    }

    mutating func add(_ images: [[UInt8]], in folder: [UInt8], label: Int32) {
      let position = Int32(clamping: folders.count)
      folders.append(folder)
      entries += images.map { Entry(folder: position, label: label, name: $0) }
    }

    /// Adds every image below `name`, and returns how many lie in it directly.
    mutating func addClass(_ name: [UInt8], label: Int32) throws(ImageDataError) -> Int {
      var found: [(folder: [UInt8], images: [[UInt8]])] = []
      let above = FileIdentity(root).map { Set([$0]) } ?? []
      try walk(name, above: above, depth: 1, &found)
      // By the path of the folder, as Python sorts the result of os.walk.
      for (folder, images) in found.sorted(by: { bytewiseLess($0.folder, $1.folder) }) {
        add(images, in: folder, label: label)
      }
      return found.first { $0.folder == name }?.images.count ?? 0
    }

    private mutating func walk(
      _ folder: [UInt8], above: Set<FileIdentity>, depth: Int,
      _ found: inout [(folder: [UInt8], images: [[UInt8]])]
    ) throws(ImageDataError) {
      let path = root.appending(folder)
      guard depth <= limits.folderDepth else {
        throw ImageDataError(
          .tooLarge, file: path.display, found: "folders nested more than \(depth - 1) deep",
          advice: "Flatten the data set")
      }
      var above = above
      if let identity = FileIdentity(path), !above.insert(identity).inserted {
        loops.append(displayText(folder))
        return
      }
      let listing = try FolderListing(path, name: path.display)
      count(listing)
      if !listing.images.isEmpty { found.append((folder, listing.images)) }
      for name in listing.folders {
        let below = RawPath(bytes: folder).appending(name).bytes
        try walk(below, above: above, depth: depth + 1, &found)
      }
    }
  }
}
