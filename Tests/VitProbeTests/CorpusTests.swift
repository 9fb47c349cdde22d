import Glibc
import TestSupport
import Testing

/// The corpus of the fuzzer and every input that once trapped, read again. A trap ends the test run.
@Suite struct CorpusTests {
  private static let corpus =
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    .joined(separator: "/") + "/Fuzzing/Corpus"

  @Test(arguments: FuzzTarget.allCases)
  func inputsAreReadOrRefused(target: FuzzTarget) throws {
    let folder = "\(Self.corpus)/\(target.rawValue)"
    let inputs = Scratch.entries(folder).sorted()
    #expect(!inputs.isEmpty, "no corpus in \(folder)")
    for name in inputs {
      let bytes = try #require(Scratch.read("\(folder)/\(name)"))
      bytes.withUnsafeBytes { target.read($0) }
      // Cut short at a few places too.
      for length in [0, 1, bytes.count / 2, max(0, bytes.count - 1)] {
        bytes[..<length].withUnsafeBytes { target.read($0) }
      }
    }
  }
}
