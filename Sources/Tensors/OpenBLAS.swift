import SharedLibraries

/// Products and eigenproblems in Float64 by OpenBLAS and its LAPACK.
///
/// The library is loaded when it is first needed: binding its fourteen thousand symbols takes as long as the rest of a
/// start.
public struct OpenBLAS: Sendable {
  private typealias Gemm =
    @convention(c) (
      Int32, Int32, Int32, Int32, Int32, Int32, Double, UnsafePointer<Double>, Int32,
      UnsafePointer<Double>, Int32, Double, UnsafeMutablePointer<Double>, Int32
    ) -> Void
  private typealias Syrk =
    @convention(c) (
      Int32, Int32, Int32, Int32, Int32, Double, UnsafePointer<Double>, Int32, Double,
      UnsafeMutablePointer<Double>, Int32
    ) -> Void
  private typealias Count = UnsafePointer<Int32>
  private typealias Words = UnsafePointer<CChar>
  private typealias Values = UnsafeMutablePointer<Double>
  private typealias Syev =
    @convention(c) (
      Words, Words, Count, Values, Count, Values, Values, Count, UnsafeMutablePointer<Int32>
    ) -> Void
  private typealias Stev =
    @convention(c) (
      Words, Count, Values, Values, Values, Count, Values, UnsafeMutablePointer<Int32>
    ) -> Void

  // As cblas.h numbers them.
  private static let (rowMajor, plain, transposed, lower): (Int32, Int32, Int32, Int32) =
    (101, 111, 112, 122)

  private let gemm: Gemm
  private let syrk: Syrk
  private let syev: Syev
  private let stev: Stev
  private let name: @convention(c) () -> Words?

  private static let loaded = Result { () throws(SharedLibrary.Failure) in try OpenBLAS() }

  private init() throws(SharedLibrary.Failure) {
    let library = try SharedLibrary(
      "libopenblas.so.0", package: "libopenblas0", use: "small problems in Float64 need",
      advice: "apt-get install libopenblas0")
    (gemm, syrk) = (try library["cblas_dgemm"], try library["cblas_dsyrk"])
    (syev, stev) = (try library["dsyev_"], try library["dstev_"])
    name = try library["openblas_get_corename"]
    // What runs at the same time is decided by `Threads` alone.
    let setThreads: @convention(c) (Int32) -> Void = try library["openblas_set_num_threads"]
    setThreads(1)
  }

  /// Loads the library, so that a program can say what is missing before it begins.
  public static func load() throws(SharedLibrary.Failure) { _ = try loaded.get() }

  /// The library; a program that has not called ``load()`` ends where it is missing.
  static var shared: OpenBLAS {
    do throws(SharedLibrary.Failure) { return try loaded.get() } catch { fatalError("\(error)") }
  }

  /// The processor whose kernels are in use, such as `SkylakeX`.
  static var kernels: String { shared.name().map { String(cString: $0) } ?? "unknown" }

  /// The product of two row-major matrices, `[rows, inner]` and `[inner, columns]`.
  public static func product(
    _ a: [Double], _ b: [Double], rows: Int, inner: Int, columns: Int
  ) -> [Double] {
    precondition(a.count == rows * inner && b.count == inner * columns, "shapes of a product")
    var result = [Double](repeating: 0, count: rows * columns)
    guard !result.isEmpty, inner > 0 else { return result }
    shared.gemm(
      rowMajor, plain, plain, Int32(rows), Int32(columns), Int32(inner), 1, a, Int32(inner), b,
      Int32(columns), 0, &result, Int32(columns))
    return result
  }

  /// The products of the rows of a row-major matrix `[rows, columns]` with each other, or of its columns.
  ///
  /// - Returns: row-major `[n, n]`, of which the lower triangle is filled.
  public static func gram(
    _ matrix: UnsafePointer<Double>, rows: Int, columns: Int, ofColumns: Bool = false
  ) -> [Double] {
    let (order, inner) = ofColumns ? (columns, rows) : (rows, columns)
    var result = [Double](repeating: 0, count: order * order)
    guard order > 0, inner > 0 else { return result }
    shared.syrk(
      rowMajor, lower, ofColumns ? transposed : plain, Int32(order), Int32(inner), 1, matrix,
      Int32(columns), 0, &result, Int32(order))
    return result
  }

  /// Eigenvalues, ascending, of a symmetric matrix `[n, n]` of which the lower triangle is read by rows (`dsyev`).
  ///
  /// - Parameter matrix: holds the eigenvectors afterwards, one after the other, if they are asked for.
  /// - Returns: LAPACK's `info`, 0 if all went well.
  public static func eigenproblem(
    _ matrix: inout [Double], order: Int, vectors: Bool, values: inout [Double]
  ) -> Int {
    guard order > 0 else { return 0 }
    var (n, info, workCount) = (Int32(order), Int32(0), Int32(34 * order))
    var work = [Double](repeating: 0, count: 34 * order)
    shared.syev(vectors ? "V" : "N", "U", &n, &matrix, &n, &values, &work, &workCount, &info)
    return Int(info)
  }

  /// Eigenvalues, ascending, and eigenvectors of a symmetric tridiagonal matrix (`dstev`).
  ///
  /// - Parameters:
  ///   - diagonal: holds the eigenvalues afterwards.
  ///   - offDiagonal: as many as `diagonal`; the last is not read.
  /// - Returns: the eigenvectors, one after the other, and LAPACK's `info`, 0 if all went well.
  public static func tridiagonal(
    diagonal: inout [Double], offDiagonal: inout [Double]
  ) -> (vectors: [Double], info: Int) {
    let order = diagonal.count
    precondition(offDiagonal.count == order, "entries off the diagonal")
    var vectors = [Double](repeating: 0, count: order * order)
    guard order > 0 else { return (vectors, 0) }
    var (n, info) = (Int32(order), Int32(0))
    var work = [Double](repeating: 0, count: max(1, 2 * order - 2))
    shared.stev("V", &n, &diagonal, &offDiagonal, &vectors, &n, &work, &info)
    return (vectors, Int(info))
  }
}
