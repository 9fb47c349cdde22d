import Tensors
import Testing

@testable import Diagnostics

@Suite struct KrylovBasisTests {
  /// A basis of `count` vectors made orthonormal one by one.
  func basis(
    _ dimension: Int, _ count: Int, _ precision: KrylovBasis.Precision, threads: Int = 1
  ) -> KrylovBasis {
    let basis = KrylovBasis(dimension: dimension, precision: precision, threads: threads)
    for index in 0..<count {
      var vector = CounterRandom(seed: 5, purpose: "basis", stream: UInt64(index))
        .normals(dimension)
      basis.orthogonalise(&vector)
      LongVector.normalise(&vector)
      basis.append(rounding: &vector)
      #expect(basis.vector(index) == vector)
    }
    return basis
  }

  /// Lengths around the ends of tiles, counts around the four vectors a kernel takes at once.
  @Test(arguments: [12, 4095, 4096, 4097, 9000], [1, 3, 4, 5, 9])
  func vectorsAreOrthonormal(dimension: Int, count: Int) {
    for (precision, tolerance) in [(KrylovBasis.Precision.single, 3e-7), (.double, 1e-14)] {
      let basis = basis(dimension, count, precision, threads: 2)
      let vectors = (0..<count).map(basis.vector)
      for i in 0..<count {
        for j in 0...i {
          #expect(abs(LongVector.dot(vectors[i], vectors[j]) - (i == j ? 1 : 0)) < tolerance)
        }
      }
    }
  }

  @Test(arguments: [KrylovBasis.Precision.single, .double])
  func coefficientsAndCombinationsUndoEachOther(precision: KrylovBasis.Precision) {
    let tolerance = precision == .single ? 1e-6 : 1e-13
    let basis = basis(5000, 6, precision)
    let coefficients = [1.0, -2, 3, 0.5, 0, 7]
    var vector = basis.combination(coefficients)
    let (found, norm) = basis.orthogonalise(&vector)
    #expect(areClose(found, coefficients, tolerance))
    #expect(norm < tolerance)
  }

  /// One pass would leave a part within the span a million times larger, relative to the rest.
  @Test func secondPassMakesSmallRemaindersOrthogonal() {
    let basis = basis(5000, 6, .double)
    var vector = basis.combination([1, -2, 3, 0.5, 0, 7])
    let outside = CounterRandom(seed: 5, purpose: "outside").normals(5000)
    LongVector.add(1e-10, outside, to: &vector)
    let norm = basis.orthogonalise(&vector).norm
    #expect(norm > 1e-9)
    #expect(isClose(LongVector.norm(vector), norm, 1e-15))
    for index in 0..<6 {
      #expect(abs(LongVector.dot(vector, basis.vector(index))) < 1e-13 * norm)
    }
  }

  @Test func rotationsMixVectors() {
    let basis = basis(5000, 3, .double, threads: 2)
    let old = (0..<3).map(basis.vector)
    // Two columns: (v0 + v2)/√2 and v1.
    let half = 0.5.squareRoot()
    basis.rotate(by: [half, 0, half, 0, 1, 0], keeping: 2)
    #expect(basis.count == 2)
    let mixed = zip(old[0], old[2]).map { half * $0 + half * $1 }
    #expect(areClose(basis.vector(0), mixed, 1e-15))
    #expect(basis.vector(1) == old[1])
  }

  @Test func savedBytesComeBack() throws {
    for precision in [KrylovBasis.Precision.single, .double] {
      let original = basis(100, 2, precision)
      let copy = KrylovBasis(dimension: 100, precision: precision)
      try original.withBytes(of: 1) { bytes in try copy.append(bytes: bytes) }
      #expect(copy.vector(0) == original.vector(1))
      original.withBytes(of: 0) { bytes in
        let short = UnsafeRawBufferPointer(rebasing: bytes.dropLast())
        #expect(throws: SpectrumError.self) { try copy.append(bytes: short) }
      }
      #expect(copy.count == 1)
    }
  }
}
