import Glibc
import Testing

@testable import Images

@Suite struct FolderTests {
  let image: [UInt8]

  init() throws { image = try Fixture.bytes("codecs/one-pixel.png") }

  private func ids(_ data: ImageDataSet) -> [String] { (0..<data.count).map(data.id) }

  @Test func flat() throws {
    let scratch = try ScratchFolder()
    for name in ["b.png", "B.PNG", "a.jpeg", "ä.jpg", "notes.txt", ".hidden.png", "._b.png"] {
      try scratch.write(name, image)
    }
    let data = try ImageDataSet.open(scratch.path + "/")
    #expect(ids(data) == ["B.PNG", "a.jpeg", "b.png", "ä.jpg"])
    #expect(data.classNames.isEmpty)
    #expect(data.label(0) == nil)
    #expect(!data.isLabeled)
    // The content decides, not the name.
    #expect(try data.decode(1).width == 1)
    #expect(data.name == scratch.path.split(separator: "/").last.map(String.init))
  }

  @Test func classFolders() throws {
    let scratch = try ScratchFolder()
    for name in ["dog/2.png", "dog/10.png", "cat/z.png", "cat/sub/a.png", "cat/a/b/c.png"] {
      try scratch.write(name, image)
    }
    let data = try ImageDataSet.open(scratch.path)
    #expect(data.classNames == ["cat", "dog"])
    #expect(
      ids(data) == ["cat/z.png", "cat/a/b/c.png", "cat/sub/a.png", "dog/10.png", "dog/2.png"])
    #expect((0..<5).map(data.label) == [0, 0, 0, 1, 1])
    #expect(data.isLabeled)
    #expect(data.inputFiles.map(\.path)[4] == scratch.path + "/dog/2.png")
    var content: [UInt8] = []
    try data.inputFiles[0].readChunks { content += $0 }
    #expect(content == image)
  }

  @Test func emptyClasses() throws {
    let scratch = try ScratchFolder()
    try scratch.write("b/1.png", image)
    scratch.makeFolder("a")
    let error = errorOf { _ = try ImageDataSet.open(scratch.path) }
    #expect(error?.kind == .mismatch)
    #expect(error?.file.hasSuffix("/a") == true)
    let data = try ImageDataSet.open(scratch.path, allowEmptyClasses: true)
    #expect(data.classNames == ["a", "b"])
    #expect(data.label(0) == 1)
  }

  @Test func nothingThere() throws {
    let scratch = try ScratchFolder()
    #expect(errorOf { _ = try ImageDataSet.open(scratch.path) }?.kind == .mismatch)
    #expect(errorOf { _ = try ImageDataSet.open(scratch.path + "/x") }?.kind == .notFound)
    try scratch.write("a.gif", [1])
    let error = errorOf { _ = try ImageDataSet.open(scratch.path) }
    #expect(error?.found.contains("a.gif") == true)
  }

  @Test func imagesBesideClassFolders() throws {
    let scratch = try ScratchFolder()
    try scratch.write("a.png", image)
    try scratch.write("sub/b.png", image)
    #expect(errorOf { _ = try ImageDataSet.open(scratch.path) }?.kind == .mismatch)
  }

  /// All endings that torchvision's `ImageFolder` takes, in any case.
  @Test func endingsOfImages() throws {
    let scratch = try ScratchFolder()
    let names = ["jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp", "TIF", "WebP"]
    for name in names { try scratch.write("a/x.\(name)", image) }
    let data = try ImageDataSet.open(scratch.path)
    #expect(data.count == names.count)
    #expect(data.notes.isEmpty)
  }

  @Test func otherFilesAreCountedByEnding() throws {
    let scratch = try ScratchFolder()
    try scratch.write("a.png", image)
    for name in ["b.gif", "c.GIF", "d.txt", "README"] { try scratch.write(name, [1]) }
    let data = try ImageDataSet.open(scratch.path)
    #expect(data.count == 1)
    let note = try #require(data.notes.first)
    #expect(note.contains("2 .gif, 1 without an ending, 1 .txt (README)"))
  }

  @Test func loopsOfLinks() throws {
    let scratch = try ScratchFolder()
    try scratch.write("a/x.png", image)
    symlink("../a", scratch.path + "/a/again")
    symlink("..", scratch.path + "/a/up")
    symlink("self", scratch.path + "/a/self")
    let data = try ImageDataSet.open(scratch.path)
    #expect(ids(data) == ["a/x.png"])
    #expect(data.notes.count(where: { $0.contains("leads back") }) == 2)
    #expect(data.notes.contains { $0.contains("1 without an ending (self)") })
  }

  @Test func linksToImagesAndFolders() throws {
    let scratch = try ScratchFolder()
    let other = try ScratchFolder()
    try other.write("y.png", image)
    try scratch.write("a/x.png", image)
    symlink(other.path, scratch.path + "/b")
    symlink(other.path + "/y.png", scratch.path + "/a/link.png")
    let data = try ImageDataSet.open(scratch.path)
    #expect(ids(data) == ["a/link.png", "a/x.png", "b/y.png"])
    #expect(try data.decode(0).width == 1)
  }

  /// What is no readable regular file keeps its place and fails when it is decoded.
  @Test func entriesThatAreNoFiles() throws {
    let scratch = try ScratchFolder()
    try scratch.write("a.png", image)
    mkfifo(scratch.path + "/b.png", 0o644)
    symlink("/nowhere/at/all", scratch.path + "/c.png")
    symlink("/dev/zero", scratch.path + "/d.png")
    symlink("e.png", scratch.path + "/e.png")
    try scratch.write("f.png", [])
    let data = try ImageDataSet.open(scratch.path)
    #expect(data.count == 6)
    let batch = try data.batch(0, of: BatchPlan(count: 6, batchSize: 6), onBadImage: .skip)
    #expect(batch.items.map(\.id) == ["a.png"])
    #expect(batch.skipped.map(\.position) == [1, 2, 3, 4, 5])
    #expect(batch.skipped[0].reason.contains("FIFO"))
    #expect(batch.skipped[2].reason.contains("device"))
    #expect(errorOf { _ = try data.decode(2) }?.kind == .notFound)
  }

  @Test(.enabled(if: getuid() != 0, "root may read everything"))
  func unreadableFile() throws {
    let scratch = try ScratchFolder()
    try scratch.write("a.png", image)
    chmod(scratch.path + "/a.png", 0)
    let data = try ImageDataSet.open(scratch.path)
    #expect(errorOf { _ = try data.decode(0) }?.kind == .unreadable)
  }

  @Test func aFileThatDisappears() throws {
    let scratch = try ScratchFolder()
    try scratch.write("a.png", image)
    let data = try ImageDataSet.open(scratch.path)
    unlink(scratch.path + "/a.png")
    #expect(errorOf { _ = try data.decode(0) }?.kind == .notFound)
  }

  /// Names that are not UTF-8, and names that Unicode holds equal, stay apart.
  @Test func unusualNames() throws {
    let scratch = try ScratchFolder()
    try scratch.write([0xFF, 0x2E] + Array("png".utf8), image)
    try scratch.write([0xFE, 0x2E] + Array("png".utf8), image)
    try scratch.write("e\u{301}.png", image)
    try scratch.write("\u{E9}.png", image)
    let data = try ImageDataSet.open(scratch.path)
    #expect(data.count == 4)
    #expect(Set(ids(data).map { Array($0.utf8) }).count == 4)
    #expect(data.id(3) == "\\xff.png")
    for i in 0..<4 { #expect(try data.decode(i).width == 1) }
  }

  @Test func oneImage() throws {
    let data = try ImageDataSet.open(Fixture.folder + "/codecs/444.jpg")
    #expect(data.count == 1)
    #expect(data.id(0) == "444.jpg")
    #expect(try data.decode(0).width == 37)
  }

  @Test func pathsAreTakenApart() {
    #expect(RawPath("/a/b.c").parent.display == "/a")
    #expect(RawPath("/a").parent.display == "/")
    #expect(RawPath("a").parent.display == ".")
    #expect(RawPath("a/b/").name == Array("b".utf8))
    #expect(displayText([0x61, 0xC3, 0xA4, 0x80, 0x62]) == "aä\\x80b")
  }
}
