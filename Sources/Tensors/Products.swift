import CKernels

/// The right operand of a product, packed once as the innermost loops read it and shared by all tiles; of the
/// ``ProductPrecision`` that is asked for where it is packed.
///
/// Rows of the result never depend on each other, and no value depends on how the product is cut: one
/// chain of multiply-adds over the inner extent each (see `products.h`).
struct Panels: Sendable {
  /// The inner extent.
  let k: Int
  /// Columns of the result.
  let n: Int
  private let packed: Tensor
  private let precision: Int32
  private static let width = ck_panel_width()

  /// Rows of a tile are a multiple of this where possible, so that the innermost loops run full.
  static let rowUnit = 12

  /// Packs `b[k, n]`, or where `transposed` the transpose of `b[n, k]`, with row stride `ldb`.
  init(_ b: UnsafePointer<Float>, ldb: Int, transposed: Bool, k: Int, n: Int) {
    (self.k, self.n) = (k, n)
    let precision = ck_precision()
    self.precision = precision
    packed = Tensor(uninitialized: [ck_panels_count(precision, k, n)])
    let (from, to) = (DisjointWrites(UnsafeMutablePointer(mutating: b)), packed.memory)
    let panels = (n + Self.width - 1) / Self.width
    Threads.forEachTile(of: panels, target: max(1, (1 << 16) / max(1, k * Self.width))) {
      first, count in
      ck_pack_panels(
        precision, from.pointer, ldb, transposed ? 1 : 0, k, n, first, count, to.pointer)
    }
  }

  /// `C[m, columns] = op(A) B`, or C plus that, on this thread.
  ///
  /// - Parameters:
  ///   - a: `[m, k]`, or where `transposed` `[k, m]`, with row stride `lda`.
  ///   - columns: which of them, from a multiple of the panels' width on; nil for all.
  func multiply(
    _ m: Int, _ a: UnsafePointer<Float>, lda: Int, transposed: Bool = false,
    _ c: UnsafeMutablePointer<Float>, ldc: Int, adding: Bool = false, columns: Range<Int>? = nil
  ) {
    let columns = columns ?? 0..<n
    let done = ck_product(
      precision, m, columns.count, k, 1, a, lda, transposed ? 1 : 0,
      packed.pointer + columns.lowerBound * ck_panel_rows(precision, k), c + columns.lowerBound,
      ldc, adding ? 1 : 0)
    precondition(done != 0, "The system has no memory left for a product of \(k) x \(n)")
  }

  /// As ``multiply(_:_:lda:transposed:_:ldc:adding:columns:)`` over a dense C, cut among the threads
  /// into tiles of rows and, where those are few, of columns.
  func multiplyTiled(
    _ m: Int, _ a: UnsafePointer<Float>, lda: Int, transposed: Bool = false,
    _ c: UnsafeMutablePointer<Float>, adding: Bool = false
  ) {
    let (pa, pc) = (DisjointWrites(UnsafeMutablePointer(mutating: a)), DisjointWrites(c))
    Self.forEachTile(of: m, by: n) { _, rows, columns in
      multiply(
        rows.count, pa + (transposed ? rows.lowerBound : rows.lowerBound * lda), lda: lda,
        transposed: transposed, pc + rows.lowerBound * n, ldc: n, adding: adding, columns: columns)
    }
  }

  /// Cuts each of several results of `m` rows and `n` columns among the threads, into tiles of rows and,
  /// where those are few, of columns.
  static func forEachTile(
    of m: Int, by n: Int, parts: Int = 1,
    _ body: @Sendable (_ part: Int, _ rows: Range<Int>, _ columns: Range<Int>) -> Void
  ) {
    let rowTiles = Threads.tileCount(m, target: 144, unit: rowUnit)
    let group = 4 * width
    let groups = (n + group - 1) / group
    // A tile reads its rows from afar for its first columns: it needs some to make up for that.
    let columnTiles = max(1, min(n / 256, (15 + rowTiles * parts) / (rowTiles * parts)))
    Threads.forEach(parts * rowTiles * columnTiles) { index in
      let (tile, column) = (index / columnTiles, index % columnTiles)
      let first = groups * column / columnTiles * group
      let end = min(n, groups * (column + 1) / columnTiles * group)
      body(
        tile / rowTiles, Threads.tile(tile % rowTiles, of: rowTiles, rows: m, unit: rowUnit),
        first..<end)
    }
  }
}

/// `C = alpha * op(A) op(B)`, or C plus that, row-major, on this thread: for products that are small or
/// tiles of larger ones.
///
/// - Parameters:
///   - m, n, k: rows of C, columns of C, and the length of the sums.
///   - transposeA: whether `a` is stored `[k, m]`; `transposeB`: whether `b` is stored `[n, k]`.
func gemm(
  _ m: Int, _ n: Int, _ k: Int, alpha: Float = 1,
  _ a: UnsafePointer<Float>, lda: Int, transposeA: Bool = false,
  _ b: UnsafePointer<Float>, ldb: Int, transposeB: Bool = false,
  _ c: UnsafeMutablePointer<Float>, ldc: Int, adding: Bool = false
) {
  let done = ck_gemm(
    ck_precision(), m, n, k, alpha, a, lda, transposeA ? 1 : 0, b, ldb, transposeB ? 1 : 0, c, ldc,
    adding ? 1 : 0)
  precondition(done != 0, "The system has no memory left for a product of \(k) x \(n)")
}

/// As ``gemm`` over dense matrices, cut among the threads.
func tiledGemm(
  _ m: Int, _ n: Int, _ k: Int, _ a: UnsafePointer<Float>, transposeA: Bool = false,
  _ b: UnsafePointer<Float>, transposeB: Bool = false, _ c: UnsafeMutablePointer<Float>,
  adding: Bool = false
) {
  Panels(b, ldb: transposeB ? k : n, transposed: transposeB, k: k, n: n).multiplyTiled(
    m, a, lda: transposeA ? m : k, transposed: transposeA, c, adding: adding)
}
