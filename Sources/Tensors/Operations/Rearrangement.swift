/// What lies around the values along an axis that is made longer.
public enum PaddingMode: Sendable, Hashable {
  /// One value.
  case constant(Float)
  /// The values mirrored at the last one on each side, which is not repeated.
  case reflect
  /// The last value on each side.
  case replicate
  /// The values from the other side.
  case circular
}

extension Tensor {
  /// Places picked from one axis, in any order and any number of times; -1 gives zeros.
  ///
  /// - Precondition: indices are -1 or places of the axis.
  public func picked(axis: Int, _ index: [Int32]) -> Tensor {
    let axis = axis < 0 ? shape.rank + axis : axis
    let (outer, count, inner) = shape.around(axis: axis)
    let result = shape.replacing(axis: axis, with: index.count)
    if count == 0 {
      precondition(index.allSatisfy { $0 == -1 }, "Nothing to be picked from \(shape)")
      return padded(axis: axis, before: 0, total: index.count)
    }
    if index.isEmpty || result.count == 0 || shape.count == 0 {
      precondition(
        index.allSatisfy { $0 >= -1 && Int($0) < count }, "An index is outside 0..<\(count)")
      return slice(axis: axis, start: 0, length: 0)
        .padded(axis: axis, before: 0, total: index.count)
    }
    return reshaped([outer, count, inner]).gatherRows(index, rowsIn: count).reshaped(result)
  }

  /// Values picked by their places in the tensor, which is seen as a list; -1 gives zeros.
  ///
  /// - Parameters:
  ///   - result: of as many places as there are indices.
  public func picked(_ index: [Int32], as result: Shape) -> Tensor {
    reshaped([shape.count]).picked(axis: 0, index).reshaped(result)
  }

  /// The places of one axis moved on by `count`, those at the end to the beginning.
  public func rolled(axis: Int, by count: Int) -> Tensor {
    let extent = shape[axis]
    guard extent > 0 else { return self }
    let first = ((count % extent) + extent) % extent
    if first == 0 { return self }
    return .concatenated(
      [
        slice(axis: axis, start: extent - first, length: first),
        slice(axis: axis, start: 0, length: extent - first),
      ], axis: axis)
  }

  /// The places of one axis in reverse.
  public func reversed(axis: Int) -> Tensor {
    let extent = shape[axis]
    return extent < 2 ? self : slice(axis: axis, start: extent - 1, length: extent, step: -1)
  }

  /// More places before and after those of one axis; fewer where a number is negative.
  ///
  /// - Precondition: at least no place is left; mirrored or circular values are there.
  public func padded(axis: Int, before: Int, after: Int, mode: PaddingMode) -> Tensor {
    let axis = axis < 0 ? shape.rank + axis : axis
    let (first, last) = (max(0, -before), max(0, -after))
    let kept = slice(axis: axis, start: first, length: shape[axis] - first - last)
    let (before, after, extent) = (max(0, before), max(0, after), kept.shape[axis])
    if before == 0, after == 0 { return kept }
    let total = before + extent + after
    func picked(_ place: (Int) -> Int) -> Tensor {
      kept.picked(axis: axis, (0..<total).map { Int32(place($0 - before)) })
    }
    switch mode {
    case .constant(let value):
      return kept.padded(axis: axis, before: before, total: total, value: value)
    case .reflect:
      precondition(
        max(before, after) < extent, "\(extent) places have no \(max(before, after)) to mirror")
      return picked { $0 < 0 ? -$0 : ($0 < extent ? $0 : 2 * (extent - 1) - $0) }
    case .replicate:
      precondition(extent > 0, "No value to be repeated in \(shape)")
      return picked { min(max($0, 0), extent - 1) }
    case .circular:
      precondition(
        max(before, after) <= extent, "\(extent) places have no \(max(before, after)) to go round")
      return picked { ($0 + extent) % extent }
    }
  }

  /// Tensors of one shape along a new axis.
  public static func stacked(_ parts: [Tensor], axis: Int) -> Tensor {
    let axis = axis < 0 ? parts[0].shape.rank + 1 + axis : axis
    return concatenated(
      parts.map {
        var extents = $0.shape.dimensions
        extents.insert(1, at: axis)
        return $0.reshaped(Shape(extents))
      }, axis: axis)
  }

  /// The axis at one place brought to another, the others in their order.
  func movingAxis(_ from: Int, to place: Int) -> Tensor {
    let (from, place) = (
      from < 0 ? shape.rank + from : from, place < 0 ? shape.rank + place : place
    )
    if from == place { return self }
    var axes = Array(0..<shape.rank)
    axes.remove(at: from)
    axes.insert(from, at: place)
    return permuted(axes)
  }

  /// Channels of a map `[N, H, W, C r r]` as places: `[N, H r, W r, C]`, channel `(c r + i) r + j` at row
  /// `i` and column `j` of each square.
  public func pixelShuffled(_ r: Int) -> Tensor {
    let (n, h, w, c) = (shape[0], shape[1], shape[2], shape[3] / (r * r))
    precondition(c * r * r == shape[3], "\(shape[3]) channels do not make squares of \(r)")
    return reshaped([n, h, w, c, r, r]).permuted([0, 1, 4, 2, 5, 3])
      .reshaped([n, h * r, w * r, c])
  }

  /// Places of a map `[N, H r, W r, C]` as channels, `[N, H, W, C r r]`: the inverse of
  /// ``pixelShuffled(_:)``.
  public func pixelUnshuffled(_ r: Int) -> Tensor {
    let (n, h, w, c) = (shape[0], shape[1] / r, shape[2] / r, shape[3])
    precondition(h * r == shape[1] && w * r == shape[2], "\(shape) has no squares of \(r)")
    return reshaped([n, h, r, w, r, c]).permuted([0, 1, 3, 5, 2, 4])
      .reshaped([n, h, w, c * r * r])
  }
}
