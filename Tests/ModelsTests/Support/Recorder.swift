import Tensors

/// Keeps the values of wanted taps, and the taps in order.
final class Recorder: Probe {
  private let isWanted: (Tap) -> Bool
  private(set) var taps: [Tap] = []
  private(set) var values: [String: Tensor] = [:]

  init(_ isWanted: @escaping (Tap) -> Bool = { _ in true }) { self.isWanted = isWanted }

  func wants(_ tap: Tap) -> Bool { isWanted(tap) }

  func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
    taps.append(tap)
    values[tap.name] = value
    return value
  }
}

extension Tensor {
  /// The values in PyTorch's order: maps as `[N, C, H, W]`, windows of attention among the images.
  func stored(_ layout: Tap.Layout) -> Tensor {
    if case .connections = layout, shape.rank == 5 {
      return reshaped(Shape([shape[0] * shape[1]] + shape.dimensions.dropFirst(2)))
    }
    return layout == .featureMap ? permuted([0, 3, 1, 2]) : self
  }

  /// The same values under a reference's shape where only the grouping of axes differs: windows that
  /// count as images, tokens of one image beside each other.
  func seen(as shape: [Int], _ layout: Tap.Layout) -> Tensor {
    switch layout {
    case .connections where self.shape.rank == 5 && shape.count == 4,
      .vector where self.shape.rank == 2 && shape.count == 3:
      self.shape.count == shape.reduce(1, *) ? reshaped(Shape(shape)) : self
    default: self
    }
  }
}
