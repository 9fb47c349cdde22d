import Tensors

/// A tap of a plan and the shape of its value for one image.
public struct PlannedTap: Sendable, Codable, Hashable {
  /// The tap.
  public let tap: Tap
  /// The extents of its value without the image axis.
  public let shape: [Int]
  /// Where it stands in its network, if that is known although the other layers are not there.
  public let position: LayerPosition?

  /// A tap whose value for one image has the given extents.
  public init(tap: Tap, shape: [Int], position: LayerPosition? = nil) {
    self.tap = tap
    self.shape = shape
    self.position = position
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
  /// Where each tap stands in the whole network.
  public let positions: [LayerPosition]

  /// A subject and the taps under analysis.
  ///
  /// - Parameter whole: every tap of the network, in which positions are counted; nil for `taps`.
  public init(
    label: String, family: String, taps: [PlannedTap], of whole: [PlannedTap]? = nil,
    imageSize: Int? = nil
  ) {
    self.label = label
    self.family = family
    self.taps = taps
    self.imageSize = imageSize
    let all = whole ?? taps
    let counted = LayerPosition.all(of: all.map(\.tap))
    let found = Dictionary(
      zip(all, counted).map { ($0.tap.name, $1) }, uniquingKeysWith: { first, _ in first })
    positions = taps.map {
      $0.position ?? found[$0.tap.name]
        ?? LayerPosition(index: 0, block: nil, sequence: nil, depth: 0)
    }
  }

  /// Normalised depth of a tap in the whole network, from 0 to 1.
  public func depth(_ index: Int) -> Double { positions[index].depth }

  /// Whether there is a position for each tap, as there is unless a file was tampered with.
  fileprivate var isWhole: Bool {
    positions.count == taps.count && positions.allSatisfy(\.isValid)
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
  /// What the images are called in tables.
  public let data: String

  /// A plan of subjects and minibatches.
  public init(subjects: [SubjectPlan], batchSizes: [Int], batchSize: Int, data: String = "") {
    self.data = data
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

  /// What records say of each layer, in their order: `[subject][tap]`.
  ///
  /// - Parameter entries: a record's entries, one a layer of all subjects.
  func byLayer<Record, Entry>(_ records: [Record], _ entries: (Record) -> [Entry]) -> [[[Entry]]] {
    let rows = records.map(entries)
    return zip(subjects, starts).map { subject, start in
      subject.taps.indices.map { tap in
        rows.compactMap { $0.indices.contains(start + tap) ? $0[start + tap] : nil }
      }
    }
  }

  /// Whether a minibatch can have so many images.
  public func canHold(_ images: Int) -> Bool { images >= 0 && images <= batchSizes.max() ?? 0 }

  /// Whether a plan that was read from a file is one that a run could have had.
  public var isValid: Bool {
    !subjects.isEmpty && batchSize > 0 && batchSizes.count <= 1 << 24
      && batchSizes.allSatisfy { (1...1 << 32).contains($0) }
      && subjects.allSatisfy { subject in
        subject.isWhole
          && subject.taps.allSatisfy { planned in
            guard planned.tap.connections?.isValid ?? true else { return false }
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

extension Tap {
  /// Whether the value is weights by which places are mixed, which have no place among features.
  var isAttention: Bool { connections != nil }

  /// Whether it is kernels of a local layer, which the pass need not have as a value of its own.
  var isKernel: Bool { if case .taps = connections?.support { true } else { false } }
}
