import SharedLibraries
import Testing

@Suite struct SharedLibraryTests {
  @Test func aFunctionIsFound() throws {
    let library = try SharedLibrary(
      "libm.so.6", package: "libc6", use: "roots need", advice: "apt-get install libc6")
    let root: @convention(c) (Double) -> Double = try library["sqrt"]
    #expect(root(2.25) == 1.5)
    let failure = #expect(throws: SharedLibrary.Failure.self) {
      let absent: @convention(c) () -> Void = try library["vitprobe_absent"]
      absent()
    }
    #expect(
      failure?.description
        == "roots need a later version of libm.so.6: this one has no vitprobe_absent")
  }

  @Test func whatIsMissingIsNamedWithItsPackage() {
    let failure = #expect(throws: SharedLibrary.Failure.self) {
      try SharedLibrary(
        "libvitprobe-absent.so.1", package: "absent1", use: "nothing needs", advice: "go on")
    }
    let words = failure?.description ?? ""
    #expect(
      words.hasPrefix(
        "nothing needs libvitprobe-absent.so.1 of the package absent1, which cannot be loaded ("))
    #expect(words.hasSuffix("): go on"))
  }
}
