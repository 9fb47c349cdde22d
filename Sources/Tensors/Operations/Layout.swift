import CKernels

/// The same values under another shape; no copy.
struct Reshape: Operation {
  let result: Shape
  var isView: Bool { true }
  func outputShape(_ x: [Shape]) -> Shape {
    precondition(x[0].count == result.count, "Cannot view \(x[0]) as \(result)")
    return result
  }
  func forward(_ x: [Tensor], into y: Tensor) {}
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [Reshape(result: x[0].shape)(dy)]
  }
}

/// A copy with the axes in another order.
struct Permute: Operation {
  let axes: [Int]
  func outputShape(_ x: [Shape]) -> Shape {
    precondition(
      axes.sorted() == Array(0..<x[0].rank) && axes.count <= 8,
      "Axes \(axes) do not permute \(x[0]), or are more than 8")
    return Shape(axes.map { x[0][$0] })
  }
  func forward(_ x: [Tensor], into y: Tensor) {
    // The outermost axis of the result is cut into tiles.
    let shape = x[0].shape
    if y.shape.rank == 0 || y.shape.count == 0 {
      y.pointer.update(from: x[0].pointer, count: y.shape.count)
      return
    }
    let inner = y.shape.count / y.shape[0]
    let stride = shape.around(axis: axes[0]).inner
    let (px, py) = (x[0].memory, y.memory)
    let order = axes.map(Int32.init)
    Threads.forEachTile(of: y.shape[0], target: max(1, (1 << 18) / inner)) { first, count in
      ck_permute(
        px + first * stride, py + first * inner, Int32(shape.rank), shape.dimensions, order, count)
    }
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    var inverse = axes
    for (to, from) in axes.enumerated() { inverse[from] = to }
    return [Permute(axes: inverse)(dy)]
  }
}

/// Runs `body` on each of `outer` blocks of `size` values that are copied.
private func forEachBlock(_ outer: Int, of size: Int, _ body: @Sendable (Int) -> Void) {
  Threads.forEachTile(of: outer, target: max(1, (1 << 18) / max(1, size))) { first, count in
    for block in first..<first + count { body(block) }
  }
}

/// Every `step`th place of one axis from `start` on, as a copy; with a negative step, backwards.
struct Slice: Operation {
  let axis: Int
  let start: Int
  let length: Int
  var step = 1

  /// - Precondition: the places lie within an extent.
  static func check(_ start: Int, _ length: Int, _ step: Int, in extent: Int) {
    precondition(
      length >= 0 && start >= 0 && start <= extent
        && (length == 0
          || (start < extent && 0..<extent ~= start + (length - 1) * step)),
      "No \(length) places from \(start) by \(step) in \(extent)")
  }

  func outputShape(_ x: [Shape]) -> Shape {
    Self.check(start, length, step, in: x[0][axis])
    return x[0].replacing(axis: axis, with: length)
  }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (outer, count, inner) = x[0].shape.around(axis: axis)
    let (pieces, size) = step == 1 ? (1, length * inner) : (length, inner)
    let (px, py) = (x[0].memory, y.memory)
    forEachBlock(outer, of: length * inner) { o in
      for place in 0..<pieces {
        (py + (o * length + place) * inner).update(
          from: px + (o * count + start + place * step) * inner, count: size)
      }
    }
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [Pad(axis: axis, before: start, total: x[0].shape[axis], step: step)(dy)]
  }
}

/// One value before, between and after the places of one axis; with zeros, the adjoint of ``Slice``.
struct Pad: Operation {
  let axis: Int
  let before: Int
  let total: Int
  var step = 1
  var value: Float = 0

  func outputShape(_ x: [Shape]) -> Shape {
    Slice.check(before, x[0][axis], step, in: total)
    return x[0].replacing(axis: axis, with: total)
  }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (outer, count, inner) = x[0].shape.around(axis: axis)
    let whole = step == 1
    let (px, py) = (x[0].memory, y.memory)
    forEachBlock(outer, of: total * inner) { o in
      let row = py + o * total * inner
      let from = px + o * count * inner
      if whole {
        row.update(repeating: value, count: before * inner)
        (row + before * inner).update(from: from, count: count * inner)
        (row + (before + count) * inner).update(
          repeating: value, count: (total - before - count) * inner)
      } else {
        row.update(repeating: value, count: total * inner)
        for place in 0..<count {
          (row + (before + place * step) * inner).update(from: from + place * inner, count: inner)
        }
      }
    }
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [Slice(axis: axis, start: before, length: x[0].shape[axis], step: step)(dy)]
  }
}

/// Tensors joined along one axis.
struct Concatenate: Operation {
  let axis: Int
  func outputShape(_ x: [Shape]) -> Shape {
    for shape in x.dropFirst() {
      precondition(
        shape.replacing(axis: axis, with: 1) == x[0].replacing(axis: axis, with: 1),
        "Cannot join \(x[0]) and \(shape) along axis \(axis)")
    }
    return x[0].replacing(axis: axis, with: x.map { $0[axis] }.reduce(0, +))
  }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (outer, total, inner) = y.shape.around(axis: axis)
    var at = 0
    for part in x {
      let count = part.shape[axis]
      let (from, to) = (part.memory, DisjointWrites(y.pointer + at * inner))
      forEachBlock(outer, of: count * inner) { o in
        (to + o * total * inner).update(from: from + o * count * inner, count: count * inner)
      }
      at += count
    }
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    var at = 0
    return zip(x, needs).map { part, needed in
      let count = part.shape[axis]
      defer { at += count }
      return needed ? Slice(axis: axis, start: at, length: count)(dy) : nil
    }
  }
}

/// Rows picked by an index table, the same in every image: `[N, R, ..., C]` seen as `[N, rowsIn, C]`
/// becomes `[N, index.count, C]`; -1 gives a row of zeros. Windows, shifts and merges are such tables.
struct GatherRows: Operation {
  let index: [Int32]
  let rowsIn: Int
  func outputShape(_ x: [Shape]) -> Shape {
    precondition(x[0].rows % rowsIn == 0, "\(x[0]) does not hold images of \(rowsIn) rows")
    return [x[0].rows / rowsIn, index.count, x[0].last]
  }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (px, py, cols) = (x[0].memory, y.memory, y.shape.last)
    Threads.forEachTile(of: y.shape[0], target: max(1, (1 << 18) / max(1, index.count * cols))) {
      first, count in
      ck_gather_rows(
        px + first * rowsIn * cols, index, py + first * index.count * cols, count, rowsIn,
        index.count, cols)
    }
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [ScatterRows(index: index, rowsIn: rowsIn)(dy).reshaped(x[0].shape)]
  }
}

/// The adjoint of ``GatherRows``: rows added back to where they were picked.
struct ScatterRows: Operation {
  let index: [Int32]
  let rowsIn: Int
  func outputShape(_ x: [Shape]) -> Shape {
    precondition(x[0].rows % index.count == 0, "\(x[0]) does not hold \(index.count) rows each")
    return [x[0].rows / index.count, rowsIn, x[0].last]
  }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (px, py, cols) = (x[0].memory, y.memory, y.shape.last)
    Threads.forEachTile(of: y.shape[0], target: max(1, (1 << 18) / max(1, rowsIn * cols))) {
      first, count in
      ck_scatter_rows(
        px + first * index.count * cols, index, py + first * rowsIn * cols, count, rowsIn,
        index.count, cols)
    }
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [GatherRows(index: index, rowsIn: rowsIn)(dy).reshaped(x[0].shape)]
  }
}

extension Tensor {
  /// The same values under another shape of as many values; no copy.
  public func reshaped(_ shape: Shape) -> Tensor {
    shape == self.shape ? self : Reshape(result: shape)(self)
  }

  /// A copy with axis `axes[i]` at place `i`.
  public func permuted(_ axes: [Int]) -> Tensor { Permute(axes: axes)(self) }

  /// A copy of `length` places of one axis, every `step`th from `start` on; with a negative step, backwards.
  public func slice(axis: Int, start: Int, length: Int, step: Int = 1) -> Tensor {
    let axis = axis < 0 ? shape.rank + axis : axis
    if start == 0, length == shape[axis], step == 1 { return self }
    return Slice(axis: axis, start: start, length: length, step: step)(self)
  }

  /// One value around the values, along one axis of `total` places.
  public func padded(axis: Int, before: Int, total: Int, value: Float = 0) -> Tensor {
    Pad(axis: axis < 0 ? shape.rank + axis : axis, before: before, total: total, value: value)(self)
  }

  /// The tensors joined along one axis.
  public static func concatenated(_ parts: [Tensor], axis: Int) -> Tensor {
    Concatenate(axis: axis < 0 ? parts[0].shape.rank + axis : axis).apply(parts)
  }

  /// Rows picked within each image by an index table (-1: zeros).
  ///
  /// - Parameters:
  ///   - index: for each row of the result, a row of the image.
  ///   - rowsIn: rows of one image.
  /// - Returns: `[N, index.count, C]`, `C` the last extent.
  public func gatherRows(_ index: [Int32], rowsIn: Int) -> Tensor {
    precondition(
      index.allSatisfy { $0 >= -1 && Int($0) < rowsIn }, "An index is outside 0..<\(rowsIn)")
    return GatherRows(index: index, rowsIn: rowsIn)(self)
  }
}
