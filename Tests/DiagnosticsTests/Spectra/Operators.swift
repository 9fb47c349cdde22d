import Tensors

@testable import Diagnostics

/// diag(d).
struct Diagonal: SymmetricOperator {
  let entries: [Double]
  var dimension: Int { entries.count }

  func apply(_ vectors: [[Double]]) -> [[Double]] {
    vectors.map { vector in
      [Double](unsafeUninitializedCapacity: entries.count) { buffer, initialized in
        entries.withUnsafeBufferPointer { entries in
          vector.withUnsafeBufferPointer { vector in
            for row in 0..<entries.count { buffer[row] = entries[row] * vector[row] }
          }
        }
        initialized = entries.count
      }
    }
  }

  /// Given values, then evenly spaced ones from `low` to `high`.
  static func bulk(_ outliers: [Double], _ count: Int, _ low: Double, _ high: Double) -> Diagonal {
    Diagonal(
      entries: outliers + (0..<count).map { low + (high - low) * Double($0) / Double(count - 1) })
  }
}

/// A dense symmetric matrix, row by row.
struct Dense: SymmetricOperator {
  let rows: [[Double]]
  var dimension: Int { rows.count }

  func apply(_ vectors: [[Double]]) -> [[Double]] {
    vectors.map { vector in
      rows.map { row in
        var sum = 0.0
        for column in row.indices { sum += row[column] * vector[column] }
        return sum
      }
    }
  }

  /// Q diag(values) Q' with a product Q of two reflections across random planes.
  static func rotated(_ values: [Double], seed: UInt64 = 1) -> Dense {
    let n = values.count
    var a = (0..<n).map { i in (0..<n).map { $0 == i ? values[i] : 0 } }
    for stream in UInt64(0)..<2 {
      var u = CounterRandom(seed: seed, purpose: "reflection", stream: stream).normals(n)
      LongVector.normalise(&u)
      // (1 - 2uu') A (1 - 2uu')
      let au = Dense(rows: a).apply([u])[0]
      let uau = LongVector.dot(u, au)
      for i in 0..<n {
        for j in 0..<n { a[i][j] += -2 * u[i] * au[j] - 2 * au[i] * u[j] + 4 * uau * u[i] * u[j] }
      }
    }
    return Dense(rows: a)
  }

  /// Eigenvalues in ascending order, by cyclic Jacobi rotations: no LAPACK, no Krylov space.
  func jacobiEigenvalues() -> [Double] {
    var a = rows
    let n = dimension
    for _ in 0..<60 {
      var off = 0.0
      for p in 0..<n {
        for q in 0..<p { off += a[p][q] * a[p][q] }
      }
      if off < 1e-28 { break }
      for p in 0..<n {
        for q in p + 1..<max(n, p + 1) where a[p][q] != 0 {
          let theta = (a[q][q] - a[p][p]) / (2 * a[p][q])
          let t = (theta < 0 ? -1 : 1) / (abs(theta) + (theta * theta + 1).squareRoot())
          let c = 1 / (t * t + 1).squareRoot()
          let s = t * c
          for k in 0..<n {
            (a[k][p], a[k][q]) = (c * a[k][p] - s * a[k][q], s * a[k][p] + c * a[k][q])
          }
          for k in 0..<n {
            (a[p][k], a[q][k]) = (c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k])
          }
        }
      }
    }
    return (0..<n).map { a[$0][$0] }.sorted()
  }
}

/// Rounds inputs and outputs to Float32, as a network does.
struct Rounded<Base: SymmetricOperator>: SymmetricOperator {
  let base: Base
  var dimension: Int { base.dimension }

  func apply(_ vectors: [[Double]]) throws -> [[Double]] {
    let inputs = vectors.map { $0.map { Double(Float($0)) } }
    return try base.apply(inputs).map { $0.map { Double(Float($0)) } }
  }
}

/// Spoils one product.
final class Failing: SymmetricOperator {
  let base: Diagonal
  let at: Int
  let with: Double
  var made = 0
  var dimension: Int { base.dimension }

  init(_ base: Diagonal, at: Int, with: Double) {
    (self.base, self.at, self.with) = (base, at, with)
  }

  func apply(_ vectors: [[Double]]) -> [[Double]] {
    vectors.map { vector in
      made += 1
      var result = base.apply([vector])[0]
      if made == at { result[result.count / 2] = with }
      return result
    }
  }
}

/// |x - y| ≤ tolerance · max(1, |y|)
func isClose(_ x: Double, _ y: Double, _ tolerance: Double = 1e-9) -> Bool {
  abs(x - y) <= tolerance * max(1, abs(y))
}

/// `isClose`, value by value.
func areClose(_ x: [Double], _ y: [Double], _ tolerance: Double = 1e-9) -> Bool {
  x.count == y.count && zip(x, y).allSatisfy { isClose($0, $1, tolerance) }
}
