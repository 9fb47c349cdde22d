/// Images with ids and labels, in a fixed order.
public struct ImageDataSet: Sendable {
  /// A short name: the last component of the path.
  public let name: String
  /// Names of the classes by label; empty if unknown.
  public let classNames: [String]
  /// Whether labels number `classNames` in the order of their names: which outputs of a model they are
  /// is then still to be found.
  public let isLabelledByName: Bool
  /// The bounds that decoding obeys.
  public let limits: ImageLimits

  private let source: any ImageSource
  private let order: [Int]
  private let labels: LabelTable?
  private let found: [String]

  /// Wraps a source; labels given here replace its own.
  ///
  /// - Parameter notes: what else the user should know.
  /// - Throws: `mismatch` if `labels` does not name every image.
  public init(
    _ source: any ImageSource, name: String, labels: LabelTable? = nil, notes: [String] = [],
    limits: ImageLimits = ImageLimits()
  ) throws(ImageDataError) {
    if let labels, labels.labels.count != source.count {
      throw ImageDataError(
        .mismatch, file: labels.file, found: "\(labels.labels.count) labels",
        expected: "\(source.count), one for each image of \(name)")
    }
    self.name = name
    self.source = source
    self.labels = labels
    self.limits = limits
    order = Array(0..<source.count)
    classNames = labels.map(\.classNames) ?? source.classNames
    isLabelledByName = labels.map(\.isByName) ?? source.isLabelledByName
    found = source.notes + notes + (labels.map(\.notes) ?? [])
  }

  private init(_ whole: ImageDataSet, order: [Int]) {
    name = whole.name
    source = whole.source
    labels = whole.labels
    limits = whole.limits
    classNames = whole.classNames
    isLabelledByName = whole.isLabelledByName
    found = whole.found
    self.order = order
  }

  /// The number of images.
  public var count: Int { order.count }

  /// The name of an image, unique in the data set: a path relative to its folder, or `file#index`.
  public func id(_ position: Int) -> String { source.id(order[position]) }

  /// The class of an image, or nil if it is not known.
  public func label(_ position: Int) -> Int? {
    let index = order[position]
    return if let labels { labels.labels[index] } else { source.label(index) }
  }

  /// Whether every image has a label.
  public var isLabeled: Bool { count > 0 && (0..<count).allSatisfy { label($0) != nil } }

  /// What the user should know of what was found, a sentence each.
  public var notes: [String] {
    let without = (0..<count).filter { label($0) == nil }
    guard let first = without.first, without.count < count else { return found }
    return found + [
      "\(without.count) of \(count) images of \(name) have no label (the first is \(id(first))); "
        + "they are left out of metrics"
    ]
  }

  /// Reads one image. May be called from several threads at the same time.
  public func decode(_ position: Int) throws(ImageDataError) -> DecodedImage {
    try source.decode(order[position], limits: limits)
  }

  /// The files that hold the images of this set and their labels, each once, in order.
  public var inputFiles: [InputFile] {
    let own = source.inputFiles(of: order)
    return own + (labels?.inputs ?? []).filter { !own.contains($0) }
  }

  /// A part of the data set: the first `limit` images (all if nil) in its order, or, with a seed, in
  /// a random order; see ``order(count:limit:shuffleSeed:)``.
  public func subset(limit: Int? = nil, shuffleSeed: UInt64? = nil) -> ImageDataSet {
    let places = Self.order(count: count, limit: limit, shuffleSeed: shuffleSeed)
    return ImageDataSet(self, order: places.map { order[$0] })
  }

  /// The places of a part of `count` samples: the first `limit` (all if nil), or, with a seed, in a
  /// random order.
  ///
  /// The random order sorts the places by a key that depends on the seed and the place alone (the
  /// output of that number of SplitMix64 begun at a hash of the seed: Steele, Lea and Flood 2014).
  ///
  /// - Precondition: `count >= 0`.
  public static func order(count: Int, limit: Int? = nil, shuffleSeed: UInt64? = nil) -> [Int] {
    var places = Array(0..<count)
    if let seed = shuffleSeed {
      let start = splitMix64(seed, 0)
      let keys = places.map { (splitMix64(start, UInt64($0)), $0) }
      places = keys.sorted { $0 < $1 }.map(\.1)
    }
    return Array(places.prefix(max(limit ?? .max, 0)))
  }
}

/// Output `index` of the SplitMix64 generator whose state begins at `seed`.
func splitMix64(_ seed: UInt64, _ index: UInt64) -> UInt64 {
  var z = seed &+ (index &+ 1) &* 0x9E37_79B9_7F4A_7C15
  z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
  z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
  return z ^ (z >> 31)
}
