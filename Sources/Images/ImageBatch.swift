import Synchronization

/// What to do with an image that cannot be read.
public enum BadImagePolicy: String, Sendable, Hashable, Codable, CaseIterable {
  /// The error is thrown.
  case fail
  /// The image is left out of its batch and reported.
  case skip
}

/// An image that was left out, and why.
public struct SkippedImage: Sendable, Hashable, Codable {
  /// Its place in the data set.
  public let position: Int
  /// Its name.
  public let id: String
  /// The error's text.
  public let reason: String
}

/// The decoded images of one batch. Each model applies its own transform to them, so that models of
/// different input sizes meet on the same images.
public struct ImageBatch: Sendable {
  /// One image that was read.
  public struct Item: Sendable {
    /// Its place in the data set.
    public let position: Int
    /// Its name.
    public let id: String
    /// Its class, or nil if it is not known.
    public let label: Int?
    /// Its pixels.
    public let image: DecodedImage
  }

  /// The batch's number in its plan.
  public let number: Int
  /// The images that could be read, in order.
  public let items: [Item]
  /// Those that could not. They leave their place empty: no image moves to another batch.
  public let skipped: [SkippedImage]

  /// The number of images that could be read.
  public var count: Int { items.count }

  /// Transforms all images and writes them one after another, `[count, height, width, channels]`.
  /// - Parameters:
  ///   - forEach: runs its second argument for every number below the first, in any order and on any
  ///     threads, and returns when all are done. The default is a loop.
  /// - Precondition: `target` has exactly that many elements; the transform's output size is fixed.
  /// - Throws: as `ImageTransform.apply`, for the first image that fails.
  public func write(
    _ transform: ImageTransform, into target: UnsafeMutableBufferPointer<Float>,
    limits: ImageLimits = ImageLimits(), forEach: ParallelLoop = serialLoop
  ) throws(ImageDataError) {
    try transform.validate()
    guard let first = items.first else { return }
    let size = transform.outputSize(width: first.image.width, height: first.image.height)
    for item in items
    where transform.outputSize(width: item.image.width, height: item.image.height) != size {
      throw ImageDataError(
        .mismatch, file: item.id, found: "an image of \(item.image.width) x \(item.image.height)",
        expected: "the size of \(first.id), \(first.image.width) x \(first.image.height)",
        advice: "Images of different sizes need a transform that crops or sets the size")
    }
    let stride = size.height * size.width * transform.channels
    precondition(
      target.count == stride * items.count,
      "\(target.count) elements for \(items.count) images of \(stride)")
    let failures = Mutex<[Int: ImageDataError]>([:])
    // Each call writes to its own part.
    nonisolated(unsafe) let target = target
    forEach(items.count) { i in
      let part = UnsafeMutableBufferPointer(rebasing: target[i * stride..<(i + 1) * stride])
      do throws(ImageDataError) {
        try transform.apply(to: items[i].image, named: items[i].id, into: part, limits: limits)
      } catch {
        failures.withLock { $0[i] = error }
      }
    }
    if let failure = failures.withLock({ $0.min { $0.key < $1.key } }) { throw failure.value }
  }
}

/// Runs the second argument for every number below the first; returns when all are done.
public typealias ParallelLoop = (Int, @Sendable (Int) -> Void) -> Void

/// One after another, on the calling thread.
public let serialLoop: @Sendable (Int, @Sendable (Int) -> Void) -> Void = { count, body in
  for i in 0..<count { body(i) }
}

extension ImageDataSet {
  /// Decodes the images of one batch of `plan`.
  /// - Parameters:
  ///   - forEach: as in `ImageBatch.write`.
  /// - Precondition: `plan.count == count`.
  /// - Throws: under the policy `fail`, the error of the first image that cannot be read.
  public func batch(
    _ number: Int, of plan: BatchPlan, onBadImage policy: BadImagePolicy = .fail,
    forEach: ParallelLoop = serialLoop
  ) throws(ImageDataError) -> ImageBatch {
    precondition(plan.count == count, "a plan for \(plan.count) images of \(count)")
    let positions = plan.batches[number]
    let results = Mutex<[Result<DecodedImage, ImageDataError>?]>(
      Array(repeating: nil, count: positions.count))
    forEach(positions.count) { i in
      let result: Result<DecodedImage, ImageDataError>
      do throws(ImageDataError) {
        result = .success(try decode(positions.lowerBound + i))
      } catch {
        result = .failure(error)
      }
      results.withLock { $0[i] = result }
    }
    var items: [ImageBatch.Item] = []
    var skipped: [SkippedImage] = []
    for (position, result) in zip(positions, results.withLock { $0 }) {
      let id = id(position)
      switch result {
      case .success(let image):
        items.append(
          ImageBatch.Item(position: position, id: id, label: label(position), image: image))
      case .failure(let error):
        guard policy == .skip else { throw error }
        skipped.append(SkippedImage(position: position, id: id, reason: error.description))
      case nil:
        preconditionFailure("forEach left out \(position - positions.lowerBound)")
      }
    }
    return ImageBatch(number: number, items: items, skipped: skipped)
  }
}
