import Testing

@testable import Tensors

/// Products against plain Float64 sums, at extents around every size that the loops are cut by.
@Suite struct ProductTests {
  struct Extents: Sendable, CustomTestStringConvertible {
    var (m, n, k): (Int, Int, Int)
    var testDescription: String { "\(m) x \(n) x \(k)" }
  }

  static let extents: [Extents] = [
    (1, 1, 1), (1, 33, 7), (3, 16, 5), (5, 17, 64), (11, 31, 9), (12, 32, 12), (13, 33, 13),
    (23, 48, 100), (36, 95, 40), (37, 64, 40), (143, 65, 30), (150, 140, 9), (14, 40, 800),
    (13, 33, 1600), (13, 97, 1024), (150, 3, 1024), (2, 130, 770),
  ].map { Extents(m: $0.0, n: $0.1, k: $0.2) }

  private struct Matrices {
    let a: [Float]
    let b: [Float]
    /// Dense, row-major.
    let product: [Double]

    init(_ size: Extents, transposeA: Bool, transposeB: Bool) {
      var random = Random(seed: UInt64(size.m * 7919 + size.n * 104_729 + size.k))
      let a = random.normal([size.m * size.k]).values
      let b = random.normal([size.k * size.n]).values
      (self.a, self.b) = (a, b)
      var product = [Double](repeating: 0, count: size.m * size.n)
      a.withUnsafeBufferPointer { a in
        b.withUnsafeBufferPointer { b in
          for i in 0..<size.m {
            for j in 0..<size.n {
              var sum = 0.0
              for p in 0..<size.k {
                sum +=
                  Double(a[transposeA ? p * size.m + i : i * size.k + p])
                  * Double(b[transposeB ? j * size.k + p : p * size.n + j])
              }
              product[i * size.n + j] = sum
            }
          }
        }
      }
      self.product = product
    }
  }

  private func worst(_ values: [Float], _ expected: [Double]) -> Double {
    zip(values, expected).reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
  }

  @Test(arguments: extents, [(false, false), (false, true), (true, false), (true, true)])
  func productsAreExactToRounding(_ size: Extents, _ transposed: (Bool, Bool)) {
    let given = Matrices(size, transposeA: transposed.0, transposeB: transposed.1)
    // Of a random walk's sums, each rounded to 24 bits.
    let bound = 2e-7 * Double(size.k + 16)
    // Wider rows than values: what lies between them is not to be touched.
    let gap = 3
    var c = [Float](repeating: 7, count: size.m * (size.n + gap))
    gemm(
      size.m, size.n, size.k, alpha: 0.5, given.a, lda: transposed.0 ? size.m : size.k,
      transposeA: transposed.0, given.b, ldb: transposed.1 ? size.k : size.n,
      transposeB: transposed.1, &c, ldc: size.n + gap)
    let rows = (0..<size.m).map { Array(c[($0 * (size.n + gap))..<(($0 + 1) * (size.n + gap))]) }
    #expect(worst(rows.flatMap { $0.prefix(size.n) }, given.product.map { 0.5 * $0 }) <= bound)
    #expect(rows.allSatisfy { $0.suffix(gap).allSatisfy { $0 == 7 } })

    gemm(
      size.m, size.n, size.k, alpha: 0.5, given.a, lda: transposed.0 ? size.m : size.k,
      transposeA: transposed.0, given.b, ldb: transposed.1 ? size.k : size.n,
      transposeB: transposed.1, &c, ldc: size.n + gap, adding: true)
    let twice = (0..<size.m).flatMap { c[($0 * (size.n + gap))...].prefix(size.n) }
    #expect(worst(twice, given.product) <= 2 * bound)

    var tiled = [Float](repeating: .nan, count: size.m * size.n)
    tiledGemm(
      size.m, size.n, size.k, given.a, transposeA: transposed.0, given.b,
      transposeB: transposed.1, &tiled)
    #expect(worst(tiled, given.product) <= bound)
  }

  /// A value depends on its row and its column alone, so that no cut of a product can be seen.
  @Test(arguments: extents.filter { $0.m > 1 })
  func valuesDoNotDependOnTheCut(_ size: Extents) {
    let given = Matrices(size, transposeA: false, transposeB: false)
    var whole = [Float](repeating: 0, count: size.m * size.n)
    tiledGemm(size.m, size.n, size.k, given.a, given.b, &whole)
    for row in [0, size.m / 2, size.m - 1] {
      var one = [Float](repeating: 0, count: size.n)
      gemm(
        1, size.n, size.k, Array(given.a[(row * size.k)..<((row + 1) * size.k)]), lda: size.k,
        given.b, ldb: size.n, &one, ldc: size.n)
      #expect(one == Array(whole[(row * size.n)..<((row + 1) * size.n)]))
    }
    var column = [Float](repeating: 0, count: size.m)
    gemm(
      size.m, 1, size.k, given.a, lda: size.k, Array(given.b[(size.n - 1)...]), ldb: size.n,
      &column, ldc: 1)
    #expect(column == (0..<size.m).map { whole[$0 * size.n + size.n - 1] })
  }

  @Test func aSumOverNothingIsZero() {
    var c: [Float] = [1, 2, 3, 4]
    gemm(2, 2, 0, [0], lda: 0, [0], ldb: 2, &c, ldc: 2, adding: true)
    #expect(c == [1, 2, 3, 4])
    gemm(2, 2, 0, [0], lda: 0, [0], ldb: 2, &c, ldc: 2)
    #expect(c == [0, 0, 0, 0])
  }

  @Test func onlyTheRowsOfANaNHaveIt() {
    var a = [Float](repeating: 1, count: 30 * 20)
    a[4 * 20 + 3] = .nan
    var c = [Float](repeating: 0, count: 30 * 40)
    tiledGemm(30, 40, 20, a, [Float](repeating: 1, count: 20 * 40), &c)
    for row in 0..<30 {
      #expect(c[(row * 40)..<((row + 1) * 40)].allSatisfy { $0.isNaN == (row == 4) })
    }
  }
}
