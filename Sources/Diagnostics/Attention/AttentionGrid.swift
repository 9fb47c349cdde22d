import Tensors

/// Where the attention maps of one image lie in a tap's value, and where its tokens lie in the image.
struct AttentionGrid: Sendable, Hashable {
  /// 1 for attention over the whole image.
  let windows: Int
  let heads: Int
  let queries: Int
  let keys: Int
  /// Where the patches are; nil if the maps are not those of the stated grid.
  let patches: Patches?

  /// The grid of patches behind tokens that are none.
  struct Patches: Sendable, Hashable {
    let height: Int
    let width: Int
    let prefix: Int

    var count: Int { height * width }
  }

  /// Nil if the value is no attention.
  init?(_ planned: PlannedTap) {
    guard case .attention(let height, let width, let prefix) = planned.tap.layout else {
      return nil
    }
    let shape = planned.shape
    guard shape.count == 3 || shape.count == 4, shape.allSatisfy({ $0 > 0 }) else { return nil }
    windows = shape.count == 4 ? shape[0] : 1
    heads = shape[shape.count - 3]
    queries = shape[shape.count - 2]
    keys = shape[shape.count - 1]
    let (count, overflow) = height.multipliedReportingOverflow(by: width)
    let fits =
      height > 0 && width > 0 && prefix >= 0 && !overflow && queries == keys
      && queries >= prefix && queries - prefix == count
    patches = fits ? Patches(height: height, width: width, prefix: prefix) : nil
  }

  /// Floats of one map.
  var mapCount: Int { queries * keys }

  /// Floats of all maps of an image.
  var stride: Int { windows * heads * mapCount }
}

extension AttentionGrid.Patches {
  /// The distances between patches, `[count, count]`, given those of neighbours.
  func distances(down: Double, across: Double) -> [Float] {
    (0..<count * count).map { pair in
      let (query, key) = (pair / count, pair % count)
      let y = Double(query / width - key / width) * down
      let x = Double(query % width - key % width) * across
      return Float((x * x + y * y).squareRoot())
    }
  }
}
