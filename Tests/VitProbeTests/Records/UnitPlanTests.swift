import Testing

@testable import VitProbe

@Suite struct UnitPlanTests {
  /// Row by row on a few minibatches, then on the next few: as nested loops have it.
  @Test(arguments: [1, 2, 3, 5, 7, 9])
  func unitsAreThoseOfNestedLoops(step: Int) {
    let rows = ["none", "a", "b"].enumerated().map {
      WorkUnit(point: $0, intervention: Intervention(name: $1))
    }
    let batches = [0, 2, 4, 6, 8, 10, 12]
    var expected: [WorkUnit] = []
    for first in stride(from: 0, to: batches.count, by: step) {
      for row in rows {
        for batch in batches[first..<min(first + step, batches.count)] {
          expected.append(
            WorkUnit(point: row.point, intervention: row.intervention, batch: batch))
        }
      }
    }
    #expect(Array(UnitPlan(rows, on: batches, atOnce: step)) == expected)
    #expect(Set(UnitPlan(rows, on: batches)) == Set(expected))
    #expect(
      UnitPlan(rows, on: batches).map(\.point)
        == [0, 1, 2].flatMap { Array(repeating: $0, count: 7) })
  }

  @Test func aPlanMayBeEmpty() {
    #expect(UnitPlan([], on: [0, 1]).isEmpty)
    #expect(UnitPlan([WorkUnit()], on: [], atOnce: 4).isEmpty)
  }
}
