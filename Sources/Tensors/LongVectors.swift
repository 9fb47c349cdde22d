import CKernels

/// Long Float64 vectors, as solvers use them, and the parts of them that are tensors.
extension Tensor {
  /// A tensor of the values of a part of a long vector, rounded to Float32.
  ///
  /// - Precondition: as many entries from `start` on as the shape has places.
  public init(rounding vector: [Double], from start: Int, shape: Shape) {
    precondition(
      start >= 0 && start <= vector.count - shape.count,
      "Entries from \(start) on of \(vector.count) do not fill the shape \(shape)")
    self.init(uninitialized: shape)
    let out = DisjointWrites(pointer)
    vector.withUnsafeBufferPointer { vector in
      guard let base = vector.baseAddress else { return }
      let source = DisjointWrites(UnsafeMutablePointer(mutating: base + start))
      Threads.forEachTile(of: shape.count, target: Self.longTile) { first, count in
        ck_narrow_f64(source + first, out + first, count)
      }
    }
  }

  /// Adds the values times `weight` to a part of a long vector, in Float64.
  ///
  /// - Precondition: the vector has an entry for each value from `start` on.
  public func add(times weight: Double, to vector: inout [Double], from start: Int) {
    precondition(
      start >= 0 && start <= vector.count - shape.count,
      "Entries from \(start) on of \(vector.count) do not hold the shape \(shape)")
    guard !isAbstract else { return }
    let values = DisjointWrites(pointer)
    vector.withUnsafeMutableBufferPointer { vector in
      guard let base = vector.baseAddress else { return }
      let sum = DisjointWrites(base + start)
      Threads.forEachTile(of: shape.count, target: Self.longTile) { first, count in
        var (row, weight) = (Optional(UnsafePointer(values + first)), weight)
        ck_basis_add_f32(&row, &weight, 1, sum + first, count)
      }
    }
    withExtendedLifetime(storage) {}
  }

  /// Entries that one thread takes on at a time: half a megabyte of Float64.
  private static let longTile = 1 << 16
}
