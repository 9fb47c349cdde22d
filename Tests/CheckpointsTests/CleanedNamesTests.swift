import Testing

@testable import Checkpoints

@Suite struct CleanedNamesTests {
  @Test func dropsWrappersAnywhereAndSaysWhich() {
    let cleaned = CleanedNames([
      "module.a.weight", "_orig_mod.module.b", "module.module._orig_mod.c", "d", "modules.e",
      "model._orig_mod.f.weight", "blocks.0._checkpoint_wrapped_module.g",
      "_fsdp_wrapped_module.h._fsdp_wrapped_module.i", "_forward_module.model.j", "submodule.k",
    ])
    #expect(
      cleaned.names == [
        "a.weight", "b", "c", "d", "modules.e", "model.f.weight", "blocks.0.g", "h.i", "model.j",
        "submodule.k",
      ])
    #expect(
      cleaned.stripped == [
        "module": 3, "_orig_mod": 3, "_checkpoint_wrapped_module": 1, "_fsdp_wrapped_module": 1,
        "_forward_module": 1,
      ])
    #expect(cleaned.collisions == [])
  }

  @Test func reportsNamesThatBecomeOne() {
    let cleaned = CleanedNames(["a", "module.a", "module.module.a", "b", "x.a", "x.module.a"])
    #expect(cleaned.collisions == ["a", "x.a"])
  }

  @Test func leavesNoNameEmpty() {
    #expect(CleanedNames(["module.", "", "module.module."]).names == ["module.", "", "module."])
    #expect(CleanedNames(["module", "a.module"]).names == ["module", "a.module"])
  }

  @Test func blocksInChunksAreNumberedThrough() {
    let chunked = ["norm.weight", "blocks.0.0.a", "blocks.0.1.a.b", "blocks.1.2.a", "blocks.1.3.a"]
    #expect(
      CleanedNames(chunked).names == [
        "norm.weight", "blocks.0.a", "blocks.1.a.b", "blocks.2.a", "blocks.3.a",
      ])
    #expect(
      CleanedNames(["module.teacher.backbone.blocks.2.14.x"]).names
        == ["teacher.backbone.blocks.14.x"])
    // Two levels that are none of chunks: numbers start again, or a name has one number.
    for names in [
      ["blocks.0.0.a", "blocks.1.0.a"], ["blocks.0.0.a", "blocks.1.a"],
      ["blocks.0.0", "blocks.1.1"],
      ["blocks.0.a.0.b"],
    ] { #expect(CleanedNames(names).names == names) }
  }
}
