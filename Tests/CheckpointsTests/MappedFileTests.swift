import Glibc
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct MappedFileTests {
  @Test func mapsTheWholeFile() throws {
    let folder = Scratch()
    let path = folder.write([1, 2, 3], as: "a")
    let file = try MappedFile(path: path)
    #expect(file.count == 3)
    #expect(withExtendedLifetime(file) { Array(file.bytes) } == [1, 2, 3])
  }

  @Test func saysWhatIsWrongWithAPath() throws {
    let folder = Scratch()
    let pipe = folder.path + "/pipe"
    #expect(mkfifo(pipe, 0o600) == 0)
    let loop = folder.path + "/loop"
    #expect(symlink(loop, loop) == 0)
    let empty = folder.write([], as: "empty")
    let cases: [(String, CheckpointError.Kind)] = [
      (folder.path + "/absent", .noSuchFile), (empty + "/below", .noSuchFile), ("", .noSuchFile),
      ("a\0b", .noSuchFile), (folder.path, .wrongKindOfFile), (pipe, .wrongKindOfFile),
      ("/dev/null", .wrongKindOfFile), (empty, .truncated), (loop, .unreadable),
    ]
    for (path, kind) in cases {
      #expect(failure { _ = try MappedFile(path: path) }?.kind == kind, "\(path)")
    }
  }

  @Test func aFileChangedWhileOpenIsNoticedBeforeItIsRead() throws {
    let folder = Scratch()
    let bytes = try contents(fixture("f4.npy"))
    let array = try NumpyArray.open(folder.write(bytes, as: "a.npy"))
    folder.write(Array(bytes.dropLast(4)), as: "a.npy")
    #expect(failure { _ = try array.floats() }?.kind == .unreadable)
  }

  @Test func anErrorIsOneLineWithoutControlCharacters() {
    let error = CheckpointError(
      .malformed, file: "a\u{1B}[31m", place: "tensor \"x\n\u{202E}\"", found: "f", expected: "e",
      advice: "Do")
    #expect(
      error.description
        == "a\\u{1b}[31m: tensor \"x\\u{a}\\u{202e}\": f; expected e. Do")
  }
}
