/// A collection of images that are decoded one by one: a folder, an IDX or CIFAR file, an array.
///
/// Every member may be called from several threads at the same time.
public protocol ImageSource: Sendable {
  /// The number of images.
  var count: Int { get }

  /// Names of the classes by label, or empty if the source does not know them.
  var classNames: [String] { get }

  /// Whether labels number `classNames` in the order of their names, as those of class folders do; else
  /// they are numbers that the data themselves give.
  var isLabelledByName: Bool { get }

  /// A name that is unique in the source and stays the same between runs: the path relative to the
  /// folder, or `file#index`.
  func id(_ index: Int) -> String

  /// The class of an image, or nil if the source does not know it.
  func label(_ index: Int) -> Int?

  /// Reads one image.
  func decode(_ index: Int, limits: ImageLimits) throws(ImageDataError) -> DecodedImage

  /// The files that hold the given images and their labels, each once, in a fixed order.
  func inputFiles(of indices: [Int]) -> [InputFile]

  /// What the user should know of what was found, a sentence each.
  var notes: [String] { get }
}

extension ImageSource {
  /// Most data give numbers.
  public var isLabelledByName: Bool { false }
}

/// A file that a data set reads; for the record of a run's inputs.
public struct InputFile: Sendable, Hashable {
  /// The path; bytes that are not UTF-8 appear as `\xNN`.
  public let path: String
  let rawPath: RawPath

  init(_ path: RawPath) {
    self.path = path.display
    self.rawPath = path
  }

  /// Creates a reference to a file.
  public init(path: String) { self.init(RawPath(path)) }

  /// Passes the content, in order, to `body`: to compute a digest, for instance.
  ///
  /// - Throws: `notFound` or `unreadable`.
  public func readChunks(_ body: ([UInt8]) -> Void) throws(ImageDataError) {
    let file = try DataFile(rawPath, name: path)
    var offset = 0
    while true {
      let chunk = try file.bytes(at: offset, upTo: 1 << 18)
      if chunk.isEmpty { return }
      body(chunk)
      offset += chunk.count
    }
  }
}
