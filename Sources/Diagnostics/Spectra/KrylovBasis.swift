import CKernels
import Tensors

/// A growing set of long orthonormal vectors, stored in Float32 or Float64, with the products that
/// Krylov methods need of it.
///
/// A basis of 30 vectors of 5.4 million parameters takes 650 MB in Float32. Coefficients and sums
/// are Float64 in both precisions. Work is cut into tiles of a fixed number of entries and partial
/// sums are added in tile order, so that results do not depend on the number of threads.
public final class KrylovBasis {
  /// How the entries are stored.
  public enum Precision: String, Sendable, Codable {
    /// Float32: for operators that compute in Float32 themselves.
    case single
    /// Float64: for operators that compute in Float64.
    case double

    var stride: Int { self == .single ? MemoryLayout<Float>.stride : MemoryLayout<Double>.stride }
  }

  /// Entries of a vector, n.
  public let dimension: Int
  /// How the entries are stored.
  public let precision: Precision
  /// Threads at work on long vectors; no result depends on it.
  public let threads: Int
  /// The number of vectors.
  public var count: Int { storage.count }

  private var storage: [UnsafeMutableRawPointer] = []

  /// Tiles of this many entries of four vectors stay in the first cache levels.
  static let tile = 4096

  /// A basis without vectors.
  public init(dimension: Int, precision: Precision, threads: Int = 1) {
    precondition(dimension >= 0, "dimension \(dimension) is negative")
    self.dimension = dimension
    self.precision = precision
    self.threads = max(1, threads)
  }

  deinit { storage.forEach { $0.deallocate() } }

  // MARK: Vectors in and out

  /// Stores a vector, and rounds the caller's to what was stored: a product of the operator then
  /// belongs to the stored vector exactly.
  public func append(rounding vector: inout [Double]) {
    precondition(vector.count == dimension, "\(vector.count) entries, not \(dimension)")
    let pointer = allocate()
    vector.withUnsafeMutableBufferPointer { w in
      guard let source = w.baseAddress else { return }
      switch precision {
      case .single:
        ck_round_f32(source, pointer.assumingMemoryBound(to: Float.self), dimension)
      case .double:
        pointer.assumingMemoryBound(to: Double.self).update(from: source, count: dimension)
      }
    }
    storage.append(pointer)
  }

  /// Vector `index` in Float64.
  public func vector(_ index: Int) -> [Double] {
    precondition(storage.indices.contains(index), "vector \(index) of \(count)")
    let pointer = storage[index]
    switch precision {
    case .single:
      let entries = pointer.assumingMemoryBound(to: Float.self)
      return [Double](unsafeUninitializedCapacity: dimension) { buffer, initialized in
        for row in 0..<dimension { buffer[row] = Double(entries[row]) }
        initialized = dimension
      }
    case .double:
      let entries = pointer.assumingMemoryBound(to: Double.self)
      return Array(UnsafeBufferPointer(start: entries, count: dimension))
    }
  }

  /// The bytes of vector `index` as stored, in the machine's byte order, for a saved state.
  public func withBytes<Result>(
    of index: Int, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) rethrows -> Result {
    precondition(storage.indices.contains(index), "vector \(index) of \(count)")
    return try body(
      UnsafeRawBufferPointer(start: storage[index], count: dimension * precision.stride))
  }

  /// Adds a vector from the bytes that `withBytes(of:_:)` gave.
  ///
  /// - Throws: `stateMismatch` if the number of bytes is not that of a vector.
  public func append(bytes: UnsafeRawBufferPointer) throws(SpectrumError) {
    guard bytes.count == dimension * precision.stride else {
      throw .stateMismatch(
        what: "bytes per vector", expected: "\(dimension * precision.stride)",
        found: "\(bytes.count)")
    }
    let pointer = allocate()
    if let source = bytes.baseAddress {
      pointer.copyMemory(from: source, byteCount: bytes.count)
    }
    storage.append(pointer)
  }

  /// Drops the vectors from `count` on.
  func removeAll(from count: Int) {
    while storage.count > count { storage.removeLast().deallocate() }
  }

  private func allocate() -> UnsafeMutableRawPointer {
    .allocate(byteCount: max(1, dimension) * precision.stride, alignment: 64)
  }

  // MARK: Products

  /// Takes the part within the span of the basis out of `w`, twice over (classical Gram-Schmidt;
  /// two passes give orthogonality to working precision: Giraud, Langou, Rozložník, van den Eshof,
  /// Numerische Mathematik 101, 2005).
  ///
  /// - Returns: the coefficients V'w [count], and the norm of what is left.
  @discardableResult
  public func orthogonalise(_ w: inout [Double]) -> (coefficients: [Double], norm: Double) {
    precondition(w.count == dimension, "\(w.count) entries, not \(dimension)")
    let first = reduce(&w, subtracting: nil)
    // The second pass reads each tile once for both the subtraction and the new products.
    let second = reduce(&w, subtracting: first.products)
    let last = reduce(&w, subtracting: second.products, products: false)
    return (zip(first.products, second.products).map(+), last.squares.squareRoot())
  }

  /// V·c: a combination of the first `c.count` vectors [n].
  public func combination(_ coefficients: some Collection<Double>) -> [Double] {
    var result = [Double](repeating: 0, count: dimension)
    add(coefficients, to: &result)
    return result
  }

  /// w + V·c.
  func add(_ coefficients: some Collection<Double>, to w: inout [Double]) {
    precondition(coefficients.count <= count, "\(coefficients.count) of \(count) vectors")
    let coefficients = Array(coefficients)
    tiled(&w) { tile in tile.add(coefficients) }
  }

  /// Replaces the first vectors by V·S: as many as S has columns of `count` rows each, column-major.
  /// The later vectors are dropped.
  func rotate(by columns: [Double], keeping kept: Int) {
    let order = count
    precondition(columns.count == order * kept, "\(columns.count) coefficients")
    var unused: [Double] = []
    tiled(&unused) { tile in tile.rotate(columns, order: order, kept: kept) }
    removeAll(from: kept)
  }

  private func reduce(
    _ w: inout [Double], subtracting: [Double]?, products: Bool = true
  ) -> (products: [Double], squares: Double) {
    let order = count
    let negated = subtracting?.map { -$0 }
    let tiles = (dimension + Self.tile - 1) / Self.tile
    // Per tile: one sum for each vector, and one of squares.
    var partial = [Double](repeating: 0, count: tiles * (order + 1))
    partial.withUnsafeMutableBufferPointer { partial in
      let sums = DisjointWrites(partial)
      tiled(&w) { tile in
        if let negated { tile.add(negated) }
        guard let pointer = sums.pointer else { return }
        let out = pointer + tile.index * (order + 1)
        if products { tile.dots(into: out, count: order) }
        out[order] = tile.squares()
      }
    }
    var totals = [Double](repeating: 0, count: order + 1)
    for tile in 0..<tiles {
      for j in 0...order { totals[j] += partial[tile * (order + 1) + j] }
    }
    return (Array(totals.prefix(order)), totals[order])
  }

  // MARK: Tiles

  /// Runs over all tiles, on all threads. An empty `w` stands for no working vector.
  private func tiled(_ w: inout [Double], _ body: @Sendable (Tile) -> Void) {
    let (dimension, precision) = (dimension, precision)
    let tiles = (dimension + Self.tile - 1) / Self.tile
    guard tiles > 0 else { return }
    storage.withUnsafeBufferPointer { vectors in
      w.withUnsafeMutableBufferPointer { w in
        let shared = SharedVectors(vectors: vectors, w: w.baseAddress)
        let workers = min(threads, tiles)
        @Sendable func work(_ worker: Int) {
          for index in stride(from: worker, to: tiles, by: workers) {
            let start = index * Self.tile
            body(
              Tile(
                index: index, start: start, length: min(Self.tile, dimension - start),
                precision: precision, shared: shared))
          }
        }
        Threads.perform(workers, width: workers, work)
      }
    }
  }
}

/// Memory that threads write to in disjoint places.
private struct DisjointWrites: @unchecked Sendable {
  let pointer: UnsafeMutablePointer<Double>?

  init(_ buffer: UnsafeMutableBufferPointer<Double>) {
    pointer = buffer.baseAddress
  }
}

/// The vectors and the working vector, of which every tile touches its own rows only.
private struct SharedVectors: @unchecked Sendable {
  let vectors: UnsafeBufferPointer<UnsafeMutableRawPointer>
  let w: UnsafeMutablePointer<Double>?
}

/// The same rows of all vectors and of the working vector.
private struct Tile {
  let index: Int
  let start: Int
  let length: Int
  let precision: KrylovBasis.Precision
  let shared: SharedVectors

  private var rows: [UnsafeMutableRawPointer] {
    shared.vectors.map { $0 + start * precision.stride }
  }

  private func rows<Entry>(of type: Entry.Type) -> [UnsafePointer<Entry>?] {
    rows.map { UnsafePointer($0.assumingMemoryBound(to: type)) }
  }

  func dots(into out: UnsafeMutablePointer<Double>, count: Int) {
    guard let w = shared.w, count > 0 else { return }
    switch precision {
    case .single:
      let rows = rows(of: Float.self)
      ck_basis_dots_f32(rows, count, w + start, length, out)
    case .double:
      let rows = rows(of: Double.self)
      ck_basis_dots_f64(rows, count, w + start, length, out)
    }
  }

  func add(_ coefficients: [Double]) {
    guard let w = shared.w else { return }
    add(coefficients, to: w + start)
  }

  func squares() -> Double {
    guard let w = shared.w else { return 0 }
    return ck_dot_f64(w + start, w + start, length)
  }

  /// rows · S, written over the first rows once all of them are known.
  func rotate(_ columns: [Double], order: Int, kept: Int) {
    var results = [Double](repeating: 0, count: kept * length)
    results.withUnsafeMutableBufferPointer { results in
      guard let base = results.baseAddress else { return }
      for column in 0..<kept {
        add(Array(columns[column * order..<(column + 1) * order]), to: base + column * length)
      }
      for (column, row) in rows.prefix(kept).enumerated() {
        let source = base + column * length
        switch precision {
        case .single: ck_round_f32(source, row.assumingMemoryBound(to: Float.self), length)
        case .double:
          row.assumingMemoryBound(to: Double.self).update(from: source, count: length)
        }
      }
    }
  }

  private func add(_ coefficients: [Double], to w: UnsafeMutablePointer<Double>) {
    switch precision {
    case .single:
      let rows = rows(of: Float.self)
      ck_basis_add_f32(rows, coefficients, coefficients.count, w, length)
    case .double:
      let rows = rows(of: Double.self)
      ck_basis_add_f64(rows, coefficients, coefficients.count, w, length)
    }
  }
}
