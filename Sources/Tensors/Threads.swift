import CKernels
import Synchronization

/// The one place that decides what runs at the same time.
///
/// BLAS runs single-threaded always. Work is cut into tiles fixed by shapes alone, and either whole
/// minibatches or the tiles of one operation run in parallel: results do not depend on the number
/// of threads.
public enum Threads {
  private static let configured = Atomic<Int>(0)

  /// Sets how many threads work at once, for the whole process.
  ///
  /// - Precondition: at least one.
  public static func configure(count: Int) {
    precondition(count >= 1, "\(count) threads: at least 1 is needed")
    configured.store(count, ordering: .relaxed)
  }

  /// How many threads work at once: as configured, or else the number of processors.
  public static var count: Int {
    let value = configured.load(ordering: .relaxed)
    if value > 0 { return value }
    configure(count: ck_processors())
    return configured.load(ordering: .relaxed)
  }

  /// What computes: the instructions that products of tensors run on, and OpenBLAS's kernels for the small
  /// problems in Float64, such as `avx512f, OpenBLAS SkylakeX`. Results are the same bytes where this
  /// is the same.
  public static var kernels: String {
    "\(String(cString: ck_product_kernels())), OpenBLAS \(OpenBLAS.kernels)"
  }

  /// Runs `body` once for each index, in any order, on several threads unless the caller already
  /// is one of several.
  public static func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
    perform(count, width: Threads.count, body)
  }

  /// As ``forEach(_:_:)`` with at most `width` indices under way at once; for whole minibatches.
  public static func perform(_ count: Int, width: Int, _ body: @Sendable (Int) -> Void) {
    typealias Body = @Sendable (Int) -> Void
    withoutActuallyEscaping(body) { body in
      withUnsafePointer(to: body) { body in
        ck_parallel(
          max(0, count), max(1, width),
          { context, index in context?.assumingMemoryBound(to: Body.self).pointee(index) },
          UnsafeMutableRawPointer(mutating: UnsafeRawPointer(body)))
      }
    }
  }

  /// Cuts `rows` into tiles whose number depends on `rows` alone and runs `body` on each.
  ///
  /// - Parameters:
  ///   - target: about how many rows a tile has.
  ///   - unit: what tiles begin at multiples of.
  static func forEachTile(
    of rows: Int, target: Int, unit: Int = 1,
    _ body: @Sendable (_ first: Int, _ count: Int) -> Void
  ) {
    let tiles = tileCount(rows, target: target, unit: unit)
    forEach(tiles) { index in
      let tile = tile(index, of: tiles, rows: rows, unit: unit)
      body(tile.lowerBound, tile.count)
    }
  }

  /// One of the tiles of ``forEachTile(of:target:unit:_:)``.
  static func tile(_ index: Int, of tiles: Int, rows: Int, unit: Int = 1) -> Range<Int> {
    let units = (rows + unit - 1) / unit
    return min(rows, units * index / tiles * unit)..<min(rows, units * (index + 1) / tiles * unit)
  }

  static func tileCount(_ rows: Int, target: Int, unit: Int = 1) -> Int {
    if rows <= target / 4 { return 1 }
    let tiles = max(2, (rows + target - 1) / target)
    return max(1, min(tiles + tiles % 2, (rows + unit - 1) / unit))
  }
}
