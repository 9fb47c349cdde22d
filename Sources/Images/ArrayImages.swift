/// Images of an array that lies elsewhere (`.npy`, `.npz`, safetensors, or memory).
public struct ArrayImages: ImageSource {
  /// What the elements are.
  public enum Element: Sendable, Hashable {
    /// Unsigned bytes: `[N, H, W]` (grey), `[N, H, W, 1]` or `[N, H, W, 3]`.
    case uint8
    /// Little-endian Float32, already normalised for the model: `[N, C, H, W]`.
    case float32
  }

  /// How many channels normalised images may have.
  static let channelCounts = 1...64

  /// Reads the given range of the array's bytes (row-major order, from its first element on), which is
  /// always that of one image. May be called from several threads at the same time.
  public typealias Reader = @Sendable (Range<Int>) throws(ImageDataError) -> [UInt8]

  /// The number of images, the array's first axis.
  public let count: Int
  /// Names of the classes by label, as given.
  public let classNames: [String]
  /// Nothing.
  public let notes: [String] = []

  private let name: String
  private let element: Element
  private let height: Int
  private let width: Int
  private let channels: Int
  private let imageBytes: Int
  private let labels: [Int?]?
  private let ids: [String]?
  private let inputs: [InputFile]
  private let read: Reader

  /// Describes an array.
  /// - Parameters:
  ///   - name: the file's name, for ids (`name#index`) and messages.
  ///   - shape: as `element` says.
  ///   - ids: names of the images; they must differ from each other.
  ///   - read: gives the elements.
  /// - Throws: `mismatch` for a shape that is no array of images, or labels or ids of another
  ///   number; `tooLarge`.
  public init(
    name: String, shape: [Int], element: Element, labels: [Int?]? = nil, classNames: [String] = [],
    ids: [String]? = nil, inputFiles: [InputFile] = [], limits: ImageLimits = ImageLimits(),
    read: @escaping Reader
  ) throws(ImageDataError) {
    let expected =
      element == .uint8
      ? "uint8 [N,H,W], [N,H,W,1] or [N,H,W,3]" : "float32 [N,C,H,W]"
    let axes: (height: Int, width: Int, channels: Int)?
    switch (element, shape.count) {
    case (.uint8, 3): axes = (shape[1], shape[2], 1)
    case (.uint8, 4): axes = (shape[1], shape[2], shape[3])
    case (.float32, 4): axes = (shape[2], shape[3], shape[1])
    default: axes = nil
    }
    let colours = [1, 3]
    let isPlanar = element == .uint8 && shape.count == 4 && shape[1] == 3
    let isInterleaved =
      element == .float32 && shape.count == 4 && colours.contains(shape[3])
      && !colours.contains(shape[1])
    guard let axes, shape.allSatisfy({ $0 > 0 }), !isInterleaved,
      element == .uint8
        ? colours.contains(axes.channels) : Self.channelCounts.contains(axes.channels)
    else {
      throw ImageDataError(
        .mismatch, file: name, found: "an array of shape \(shape)", expected: expected,
        advice: isPlanar
          ? "Move the channels to the end: a.transpose(0, 2, 3, 1)"
          : isInterleaved
            ? "Move the channels behind the images: a.transpose(0, 3, 1, 2)" : nil)
    }
    let (pixels, overflow) = axes.height.multipliedReportingOverflow(by: axes.width)
    guard !overflow, pixels <= limits.pixels else {
      throw ImageDataError(
        .tooLarge, file: name, found: "images of \(axes.width) x \(axes.height) pixels",
        expected: "at most \(limits.pixels) pixels")
    }
    for (what, number) in [("labels", labels?.count), ("ids", ids?.count)] {
      if let number, number != shape[0] {
        throw ImageDataError(
          .mismatch, file: name, found: "\(number) \(what)", expected: "\(shape[0]), one an image")
      }
    }
    let imageBytes = pixels * axes.channels * (element == .uint8 ? 1 : 4)
    guard !imageBytes.multipliedReportingOverflow(by: shape[0]).overflow else {
      throw ImageDataError(.damaged, file: name, found: "shape \(shape)", expected: expected)
    }
    count = shape[0]
    (height, width, channels) = axes
    self.imageBytes = imageBytes
    self.name = name
    self.element = element
    self.labels = labels?.map { label in label.flatMap { $0 < 0 ? nil : $0 } }
    self.classNames = classNames
    self.ids = ids
    self.inputs = inputFiles
    self.read = read
  }

  /// Describes an array in memory.
  ///
  /// - Throws: `mismatch` as the other initializer, and if `bytes` is not as long as `shape` says.
  public init(
    name: String, shape: [Int], element: Element, bytes: [UInt8], labels: [Int?]? = nil,
    ids: [String]? = nil
  ) throws(ImageDataError) {
    try self.init(name: name, shape: shape, element: element, labels: labels, ids: ids) {
      range in Array(bytes[range])
    }
    guard bytes.count == imageBytes * count else {
      throw ImageDataError(
        .mismatch, file: name, found: "\(bytes.count) bytes",
        expected: "\(imageBytes * count) for the shape \(shape)")
    }
  }

  /// The given id, or `name#index`.
  public func id(_ index: Int) -> String { ids.map { $0[index] } ?? "\(name)#\(index)" }

  /// The given label; negative ones are none.
  public func label(_ index: Int) -> Int? { if let labels { labels[index] } else { nil } }

  /// Reads one image; Float32 values must be finite.
  public func decode(_ index: Int, limits: ImageLimits) throws(ImageDataError) -> DecodedImage {
    let start = index * imageBytes
    let bytes = try read(start..<start + imageBytes)
    guard bytes.count == imageBytes else {
      throw ImageDataError(
        .damaged, file: name, place: "image \(index)", found: "\(bytes.count) bytes",
        expected: "\(imageBytes)")
    }
    let pixels: DecodedImage.Pixels
    switch element {
    case .uint8: pixels = .bytes(bytes)
    case .float32: pixels = .normalised(try interleaved(bytes, index))
    }
    return DecodedImage(width: width, height: height, channels: channels, pixels: pixels)
  }

  /// The given files.
  public func inputFiles(of indices: [Int]) -> [InputFile] { inputs }

  /// What values that are taken as normalised look like, if they look as if they were not: of up to 64
  /// images, spread evenly, all values lie in 0...1 or in 0...255. Images that cannot be read are found
  /// where they are needed.
  public func rangeNote(limits: ImageLimits = ImageLimits()) -> String? {
    guard element == .float32 else { return nil }
    let looked = min(count, 64)
    var (low, high) = (Float.infinity, -Float.infinity)
    for place in 0..<looked {
      let index = place * count / looked
      guard case .normalised(let values)? = try? decode(index, limits: limits).pixels else {
        continue
      }
      low = min(low, values.min() ?? low)
      high = max(high, values.max() ?? high)
      if low < 0 || high > 255 { return nil }
    }
    guard low <= high else { return nil }
    return "\(name): all values of "
      + (looked == count ? "the \(count) images" : "\(looked) of \(count) images")
      + " lie in 0...\(high <= 1 ? 1 : 255), and are taken as normalised already; if they are not, "
      + (high <= 1
        ? "subtract the mean and divide by the deviation, or give uint8 images"
        : "give them as uint8 [N,H,W,3]") + ", which are prepared for each model"
  }

  /// Planes to channels last.
  private func interleaved(_ bytes: [UInt8], _ index: Int) throws(ImageDataError) -> [Float] {
    let area = height * width
    var isFinite = true
    let values = bytes.withUnsafeBytes { source in
      [Float](unsafeUninitializedCapacity: area * channels) { target, filled in
        for c in 0..<channels {
          for i in 0..<area {
            let bits = source.loadUnaligned(
              fromByteOffset: 4 * (c * area + i), as: UInt32.self)
            let value = Float(bitPattern: UInt32(littleEndian: bits))
            isFinite = isFinite && value.isFinite
            target[i * channels + c] = value
          }
        }
        filled = area * channels
      }
    }
    guard isFinite else {
      throw ImageDataError(
        .damaged, file: name, place: "image \(index)", found: "a value that is not finite",
        expected: "finite values")
    }
    return values
  }
}
