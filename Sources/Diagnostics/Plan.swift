import Tensors

/// A tap of a plan and the shape of its value for one image.
public struct PlannedTap: Sendable, Codable, Hashable {
  /// The tap.
  public let tap: Tap
  /// The extents of its value without the image axis.
  public let shape: [Int]

  /// A tap whose value for one image has the given extents.
  public init(tap: Tap, shape: [Int]) {
    self.tap = tap
    self.shape = shape
  }
}

/// One model or feature file of a plan.
public struct SubjectPlan: Sendable, Codable, Hashable {
  /// The name in tables and figures.
  public let label: String
  /// The architecture family, for colours: `vit`, `resnet`.
  public let family: String
  /// The taps under analysis, in the order of the forward pass.
  public let taps: [PlannedTap]
  /// The side of the images in pixels; nil if it is not known.
  public let imageSize: Int?

  /// A subject and the taps under analysis.
  public init(label: String, family: String, taps: [PlannedTap], imageSize: Int? = nil) {
    self.label = label
    self.family = family
    self.taps = taps
    self.imageSize = imageSize
  }

  /// Normalised depth `l / (L - 1)` of a tap, 0 for a single one.
  public func depth(_ index: Int) -> Double {
    taps.count > 1 ? Double(index) / Double(taps.count - 1) : 0
  }

  /// Where stages begin among the taps, for models that have several.
  var stageStarts: [(start: Int, stage: Int)] {
    var starts: [(start: Int, stage: Int)] = []
    for (index, planned) in taps.enumerated() {
      guard let stage = planned.tap.stage else { continue }
      if starts.last.map({ $0.stage != stage }) ?? true { starts.append((index, stage)) }
    }
    return starts.count > 1 ? starts : []
  }
}

/// What an analysis is about: subjects with their taps, and the minibatches that all of them see.
public struct Plan: Sendable, Codable, Hashable {
  /// The subjects.
  public let subjects: [SubjectPlan]
  /// The size of each minibatch before images are skipped.
  public let batchSizes: [Int]
  /// The size asked for; the last minibatch may differ.
  public let batchSize: Int

  /// A plan of subjects and minibatches.
  public init(subjects: [SubjectPlan], batchSizes: [Int], batchSize: Int) {
    self.subjects = subjects
    self.batchSizes = batchSizes
    self.batchSize = batchSize
  }

  /// Taps of all subjects.
  public var tapCount: Int { subjects.reduce(0) { $0 + $1.taps.count } }

  /// The first of each subject's layers in a list over all layers of all subjects.
  var starts: [Int] {
    var at = 0
    return subjects.map { subject in
      defer { at += subject.taps.count }
      return at
    }
  }

  /// Whether a minibatch can have so many images.
  public func canHold(_ images: Int) -> Bool { images >= 0 && images <= batchSizes.max() ?? 0 }

  /// Whether a plan that was read from a file is one that a run could have had.
  public var isValid: Bool {
    !subjects.isEmpty && batchSize > 0 && batchSizes.count <= 1 << 24
      && batchSizes.allSatisfy { (1...1 << 32).contains($0) }
      && subjects.allSatisfy { subject in
        !subject.taps.isEmpty
          && subject.taps.allSatisfy { planned in
            var size = 1
            for extent in planned.shape {
              let (product, overflow) = size.multipliedReportingOverflow(by: extent)
              guard extent > 0, !overflow, product <= 1 << 32 else { return false }
              size = product
            }
            return true
          }
      }
  }
}
