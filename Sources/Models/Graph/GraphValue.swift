/// A tensor of an exported graph as the compiler knows it: its extents as PyTorch sees them, and how it lies in
/// memory.
///
/// The order of axes in memory is the engine's affair: a permutation in the graph only renames places, a
/// convolution leaves its channels last, and what follows reads them there.
struct GraphValue {
  /// Where its tensor stands in a pass.
  let slot: Int
  /// The extents, of one image: that of ``batchAxis`` is what comes to one image.
  let dimensions: [Int]
  /// Which axis lies at each place in memory, outermost first.
  let order: [Int]
  /// The axis along which images follow each other; nil for what depends on no image.
  let batchAxis: Int?
  /// Whether that axis runs over its own places first, and over the images within each: rows of a matrix that
  /// were made of places before images. Only functions of rows are done on such values.
  var imagesAreInner = false

  var rank: Int { dimensions.count }
  var isDependent: Bool { batchAxis != nil }
  var count: Int { dimensions.reduce(1, *) }

  /// Whether an axis has one place, whatever the number of images.
  func isSingle(_ axis: Int) -> Bool { dimensions[axis] == 1 && axis != batchAxis }

  /// The extents in memory, of one image.
  var memory: [Int] { order.map { dimensions[$0] } }

  /// Where images follow each other in memory.
  var batchPlace: Int? { batchAxis.flatMap { order.firstIndex(of: $0) } }

  /// Whether all of one image lies together in memory, image behind image.
  var keepsImagesApart: Bool {
    !imagesAreInner && batchPlace.map { memory.prefix($0).allSatisfy { $0 == 1 } } ?? false
  }

  /// Whether the axes lie in memory in their own order.
  var isInOrder: Bool { order == Array(0..<rank) }

  /// The axis that an argument means; nil if there is none.
  func axis(_ index: Int) -> Int? {
    let axis = index < 0 ? index + rank : index
    return (0..<rank).contains(axis) ? axis : nil
  }

  /// The same tensor, its axis `axes[i]` as axis `i`.
  func permuted(_ axes: [Int]) -> GraphValue {
    var place = [Int](repeating: 0, count: axes.count)
    for (new, old) in axes.enumerated() { place[old] = new }
    return GraphValue(
      slot: slot, dimensions: axes.map { dimensions[$0] }, order: order.map { place[$0] },
      batchAxis: batchAxis.map { place[$0] }, imagesAreInner: imagesAreInner)
  }

  /// The extents for a reader: `[N, 64, 56, 56]`.
  var text: String {
    let parts = dimensions.enumerated().map { axis, extent in
      axis != batchAxis ? "\(extent)" : extent == 1 ? "N" : "\(extent) N"
    }
    return "[" + parts.joined(separator: ", ") + "]"
  }
}

/// Extents that follow the number of images.
struct GraphExtents: Hashable {
  /// Of one image.
  let dimensions: [Int]
  /// Which of them grows with the images.
  let batchPlace: Int?

  /// Those of so many images.
  func callAsFunction(_ images: Int) -> [Int] {
    guard let batchPlace else { return dimensions }
    var result = dimensions
    result[batchPlace] *= images
    return result
  }
}

/// A number in a graph: fixed, or a multiple of the number of images.
enum GraphNumber: Equatable {
  case int(Int)
  case real(Double)
  /// So many to one image.
  case perImage(Int)
}
