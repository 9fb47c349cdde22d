import CKernels
import Tensors

/// Where the feature maps of one image lie in a tap's value: `channels` maps of `height` by `width`,
/// channels last, behind `prefix` tokens that belong to no map.
struct MapGrid: Sendable, Hashable {
  let height: Int
  let width: Int
  let channels: Int
  /// Tokens before the grid: class token, registers.
  let prefix: Int

  /// Nil if the value has no maps, or its shape is not what its layout says.
  init?(_ planned: PlannedTap) {
    switch planned.tap.layout {
    case .tokens(let height, let width, let prefix):
      let (count, overflow) = height.multipliedReportingOverflow(by: width)
      guard planned.shape.count == 2, height > 0, width > 0, prefix >= 0, !overflow,
        planned.shape[0] >= prefix, planned.shape[0] - prefix == count, planned.shape[1] > 0
      else { return nil }
      (self.height, self.width, self.prefix) = (height, width, prefix)
      channels = planned.shape[1]
    case .featureMap:
      guard planned.shape.count == 3, planned.shape.allSatisfy({ $0 > 0 }) else { return nil }
      (height, width, channels) = (planned.shape[0], planned.shape[1], planned.shape[2])
      prefix = 0
    case .connections, .vector, .unknown:
      return nil
    }
  }

  /// Places of a map.
  var positions: Int { height * width }

  /// Floats of an image's value, the prefix among them.
  var stride: Int { (prefix + positions) * channels }

  /// Runs `body` on the first place of each image's maps: in any order, several at once.
  ///
  /// Nothing happens for an abstract value.
  ///
  /// - Precondition: the value has the planned shape.
  func forEachImage(
    of value: Tensor, _ body: @Sendable (_ image: Int, _ maps: UnsafePointer<Float>) -> Void
  ) {
    let images = value.shape[0]
    value.withValues { buffer in
      guard let base = buffer.baseAddress, !buffer.isEmpty else { return }
      precondition(
        buffer.count == images * stride,
        "\(value.shape) is not \(images) images of \(prefix) + \(height) x \(width) places")
      let input = DisjointWrites(UnsafeMutablePointer(mutating: base))
      Threads.forEach(images) { image in
        body(image, UnsafePointer(input.pointer + image * stride + prefix * channels))
      }
    }
  }
}

extension Tap {
  /// Whether values are feature maps, or tokens that make some; or might be: of a layer whose layout is
  /// not known, a report says why it has no numbers.
  var holdsFeatureMaps: Bool {
    switch layout {
    case .tokens, .featureMap, .unknown: kind != .logits
    case .connections, .vector: false
    }
  }
}
