import DurableFiles
import TestSupport
import Testing

@testable import Reports

@Suite struct DigestTests {
  /// The examples of FIPS 180-4 (NIST, "SHA-256 examples").
  @Test(arguments: [
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
      "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
    ),
    (
      "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
        + "lmnopqrsmnopqrstnopqrstu",
      "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
    ),
  ])
  func nistExamples(text: String, digest: String) {
    #expect(Digest.sha256(text.utf8) == digest)
  }

  @Test func aMillionLettersInUnevenPieces() {
    let hash = SHA256()
    var rest = 1_000_000
    var piece = 1
    while rest > 0 {
      let count = min(piece, rest)
      hash.update([UInt8](repeating: UInt8(ascii: "a"), count: count))
      rest -= count
      piece = piece * 3 % 1009 + 1
    }
    #expect(
      hash.finish() == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test func files() throws {
    let folder = Scratch()
    let path = folder.write(String(repeating: "a", count: 3_000_001), as: "letters")
    let (digest, size) = try Digest.sha256(file: path)
    #expect(size == 3_000_001)
    #expect(digest == Digest.sha256([UInt8](repeating: 97, count: 3_000_001)))

    let missing = #expect(throws: FileError.self) {
      try Digest.sha256(file: folder.file("absent"))
    }
    #expect(missing?.kind == .missing)
    #expect(missing?.description.contains(folder.file("absent")) == true)
    let unreadable = #expect(throws: FileError.self) { try Digest.sha256(file: folder.path) }
    #expect(unreadable?.kind == .io)
  }
}
