import Images

/// What a run goes over, in a fixed order: images, or the samples of feature files.
public struct SampleSet: Sendable {
  private enum Source: Sendable {
    case images(ImageDataSet)
    case features(FeatureSamples)
  }

  private let source: Source
  /// The place of each sample in the whole set.
  private let places: [Int]
  /// The number of samples before a part was taken.
  public let wholeCount: Int
  /// What classes are called, where labels number names.
  public let naming: ClassNaming

  /// Images, or a part of them: the first `limit`, or in a random order.
  public init(
    _ images: ImageDataSet, limit: Int? = nil, shuffleSeed: UInt64? = nil,
    naming: ClassNaming? = nil
  ) {
    self.naming = naming ?? ClassNaming(of: images)
    source = .images(images.subset(limit: limit, shuffleSeed: shuffleSeed))
    wholeCount = images.count
    places = ImageDataSet.order(count: images.count, limit: limit, shuffleSeed: shuffleSeed)
  }

  /// The samples of a feature file, or a part of them.
  init(_ samples: FeatureSamples, limit: Int? = nil, shuffleSeed: UInt64? = nil) {
    naming = ClassNaming()
    source = .features(samples)
    wholeCount = samples.count
    places = ImageDataSet.order(count: samples.count, limit: limit, shuffleSeed: shuffleSeed)
  }

  /// The number of samples.
  public var count: Int { places.count }

  /// A short name.
  public var name: String {
    switch source {
    case .images(let images): images.name
    case .features(let samples): samples.name
    }
  }

  /// Whether there are images, for models to be run on.
  public var hasImages: Bool { if case .images = source { true } else { false } }

  /// The names of the classes, where images come with some.
  public var classNames: [String] {
    switch source {
    case .images(let images): images.classNames
    case .features: []
    }
  }

  /// Whether samples have names of their own, by which rows of a feature file are found.
  public var hasIDs: Bool {
    switch source {
    case .images: true
    case .features(let samples): samples.ids != nil
    }
  }

  /// The name of a sample.
  public func id(_ position: Int) -> String {
    switch source {
    case .images(let images): images.id(position)
    case .features(let samples): samples.id(places[position])
    }
  }

  /// The class of a sample, or nil if it is not known.
  public func label(_ position: Int) -> Int? {
    switch source {
    case .images(let images): images.label(position)
    case .features(let samples):
      samples.labels.flatMap { $0[places[position]] }.flatMap { $0 < 0 ? nil : $0 }
    }
  }

  /// The first of `ids` that no sample of the whole set has.
  func firstUnknown(of ids: [String]) -> String? {
    guard case .features(let samples) = source else { return nil }
    let known = Set(samples.ids ?? [])
    return ids.first { !known.contains($0) }
  }

  /// What the user should know of what was found, a sentence each.
  public var notes: [String] {
    switch source {
    case .images(let images): images.notes
    case .features(let samples):
      samples.labels == nil ? [] : unlabelledNotes
    }
  }

  private var unlabelledNotes: [String] {
    let without = (0..<count).filter { label($0) == nil }
    guard let first = without.first, without.count < count else { return [] }
    return [
      "\(without.count) of \(count) samples of \(name) have no label (the first is \(id(first))); "
        + "they are left out of metrics"
    ]
  }

  /// The files that hold the images and their labels; those of features belong to their subjects.
  public var inputFiles: [InputFile] {
    switch source {
    case .images(let images): images.inputFiles
    case .features: []
    }
  }

  /// The extents of an image in pixels; nil where samples are no images.
  ///
  /// - Throws: the error of an image that cannot be read.
  func size(_ position: Int) throws(ImageDataError) -> (width: Int, height: Int)? {
    guard case .images(let images) = source else { return nil }
    let image = try images.decode(position)
    return (image.width, image.height)
  }

  /// One minibatch of a plan.
  ///
  /// - Parameters:
  ///   - decoding: whether images are wanted; without, nothing is read and nothing is skipped.
  ///   - policy: what to do with an image that cannot be read.
  /// - Precondition: `plan.count == count`.
  /// - Throws: under the policy `fail`, the error of the first image that cannot be read.
  func batch(
    _ number: Int, of plan: BatchPlan, decoding: Bool, onBadImage policy: BadImagePolicy,
    forEach: ParallelLoop
  ) throws(ImageDataError) -> (batch: Minibatch, skipped: [SkippedImage]) {
    if decoding, case .images(let images) = source {
      let batch = try images.batch(number, of: plan, onBadImage: policy, forEach: forEach)
      return (Minibatch(batch) { places[$0] }, batch.skipped)
    }
    let range = plan.batches[number]
    let batch = Minibatch(
      number: number, ids: range.map(id), positions: range.map { places[$0] },
      labels: range.map(label), isIdentified: hasIDs)
    return (batch, [])
  }
}

/// The samples of a feature file: how many, and what is known of each.
struct FeatureSamples: Sendable {
  /// A short name of what they are samples of.
  var name: String
  /// How many.
  var count: Int
  /// Their names, each once; nil if the file has none.
  var ids: [String]?
  /// Their classes; nil if the file has none.
  var labels: [Int?]?

  /// The name of a sample, or what stands for one.
  func id(_ row: Int) -> String { ids?[row] ?? "\(name)#\(row)" }
}
