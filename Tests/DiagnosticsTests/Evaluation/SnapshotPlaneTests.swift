import Testing

@testable import Diagnostics

@Suite struct SnapshotPlaneTests {
  private func products(_ rows: [[Double]]) -> [Double] {
    rows.flatMap { a in rows.map { b in zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } } }
  }

  private func plane(_ rows: [[Double]]) throws -> SnapshotPlane {
    try SnapshotPlane(products: products(rows), count: rows.count)
  }

  /// Three points on a line: 3, 1 and 0 times a direction of length 5.
  @Test func collinearPointsHaveOneAxis() throws {
    let direction = [0.0, 3, 0, -4]
    let found = try plane([3, 1, 0].map { share in direction.map { share * $0 } })
    #expect(found.axes.count == 1 && abs(found.explained[0] - 1) < 1e-12)
    for (place, expected) in zip(found.coordinates, [15.0, 5, 0]) {
      #expect(abs(place.leastSquares[0] - expected) < 1e-9)
      #expect(abs(place.cosine[0] - expected) < 1e-9)
      #expect(abs(place.distance - expected) < 1e-9 && place.offPlane < 1e-5)
    }
  }

  /// Points of a planted plane: variances 8 and 2 of orthogonal directions, known in their own axes.
  @Test func thePlaneOfPlantedPointsIsFound() throws {
    // In the plane: (4, 0), (0, 2), (-4, 0), (0, -2) about (4, 2), the last at the origin of ways.
    let own = [(4.0, 0.0), (0, 2), (-4, 0), (0, -2)]
    let (first, second) = ([0.6, 0, 0.8, 0], [0.0, 1, 0, 0])
    let rows = own.map { point in
      zip(first, second).map { (point.0 - own[3].0) * $0 + (point.1 - own[3].1) * $1 }
    }
    let found = try plane(rows)
    #expect(found.axes.count == 2)
    #expect(zip(found.explained, [0.8, 0.2]).allSatisfy { abs($0 - $1) < 1e-12 })
    let expected = own.map { [$0.0 - own[3].0, $0.1 - own[3].1] }
    for (place, known) in zip(found.coordinates, expected) {
      #expect(zip(place.leastSquares, known).allSatisfy { abs($0 - $1) < 1e-9 }, "\(place)")
      #expect(zip(place.cosine, known).allSatisfy { abs($0 - $1) < 1e-9 })
      #expect(place.offPlane < 1e-6)
    }
    // The axes themselves, of length 1.
    for (axis, known) in zip(found.axes, [first, second]) {
      let vector = known.indices.map { place in
        zip(axis, rows).reduce(0) { $0 + $1.0 * $1.1[place] }
      }
      #expect(zip(vector, known).allSatisfy { abs($0 - $1) < 1e-9 })
    }
    // A point off the plane keeps its distance from it.
    let off = try plane(rows.map { $0 + [0] } + [[0, 0, 0, 0, 1e-3]] + [[0, 0, 0, 0, 0]])
    #expect(abs(off.coordinates[4].offPlane - 1e-3) < 1e-4)
  }

  /// Axes (1, 0) and (1, 1): the point (3, 2) is 1 and 2 of them; each alone sees 3 and 5 / √2.
  @Test func skewedAxesTellLeastSquaresFromCosines() {
    let rows: [[Double]] = [[3, 2], [1, 0], [1, 1], [0, 0]]
    let found = SnapshotPlane.coordinates(
      products: products(rows), count: 4, axes: [[0, 1, 0, 0], [0, 0, 1, 0]])
    #expect(zip(found[0].leastSquares, [1, 2]).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(zip(found[0].cosine, [3, 5 / 2.0.squareRoot()]).allSatisfy { abs($0 - $1) < 1e-12 })
    #expect(found[0].offPlane < 1e-6 && abs(found[0].distance - 13.0.squareRoot()) < 1e-12)
  }

  @Test func whatHasNoPlaneIsRefused() {
    #expect(throws: SnapshotPlane.Failure.noDistance) { try plane([[0, 0], [0, 0]]) }
    #expect(throws: SnapshotPlane.Failure.notFinite) { try plane([[.nan, 0], [0, 0]]) }
  }

  /// The same products to the last bit, however many rows are held, and fewer readings with more.
  @Test func streamsReadAFewAtOnce() throws {
    let rows = (0..<7).map { (row: Int) -> [Double] in
      (0..<50).map { (column: Int) -> Double in
        let number: Int = (row * 31 + column * 17) % 23
        return Double(number) / 7 - 1.5
      }
    }
    var readings: [Int] = []
    var found: [[Double]] = []
    for held in [1, 3, 7] {
      var count = 0
      let stream = SnapshotStream(count: 7, holding: held) { row in
        count += 1
        return rows[row]
      }
      found.append(try stream.products())
      readings.append(count)
    }
    #expect(readings == [28, 12, 7])
    #expect(found[0] == found[1] && found[1] == found[2])
    let exact = products(rows)
    #expect(zip(found[0], exact).allSatisfy { abs($0 - $1) < 1e-12 * 50 })
    let weights = [[1.0, -1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 2]]
    let sums = try SnapshotStream(count: 7, holding: 1) { rows[$0] }.sums(weights)
    #expect(sums[0] == zip(rows[0], rows[1]).map { $0 - $1 } && sums[1] == rows[6].map { 2 * $0 })
  }

  @Test func gridsHoldTheWayAndTheOrigin() {
    for (coordinates, count) in [([0.0, 7, 3.1], 15), ([-2.0, 0.5, 0], 5), ([1e-9, 0], 21)] {
      let axis = TrajectoryStudy.axis(over: coordinates, count: count)
      #expect(axis.count == count && axis.contains(0))
      #expect(zip(axis, axis.dropFirst()).allSatisfy { $0 < $1 })
      let (low, high) = (coordinates.min() ?? 0, coordinates.max() ?? 0)
      #expect(axis[0] < low && axis[count - 1] > high)
    }
  }
}
