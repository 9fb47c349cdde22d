import Testing

@testable import Checkpoints

@Suite struct CleanedNamesTests {
  @Test func stripsWrappersRepeatedlyAndSaysWhich() {
    let cleaned = CleanedNames([
      "module.a.weight", "_orig_mod.module.b", "module.module._orig_mod.c", "d", "modules.e",
    ])
    #expect(cleaned.names == ["a.weight", "b", "c", "d", "modules.e"])
    #expect(cleaned.stripped == ["module.": 3, "_orig_mod.": 2])
    #expect(cleaned.collisions == [])
  }

  @Test func reportsNamesThatBecomeOne() {
    let cleaned = CleanedNames(["a", "module.a", "module.module.a", "b"])
    #expect(cleaned.collisions == ["a"])
  }

  @Test func leavesNoNameEmpty() {
    #expect(CleanedNames(["module.", "", "module.module."]).names == ["module.", "", "module."])
  }
}
