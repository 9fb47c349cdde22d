import Glibc
import TestSupport
import Testing

@testable import Checkpoints

/// Damages sound files at random, always in the same way, and reads what is left. A mutant may be
/// refused or read; it must not trap, and it must not ask for more memory than it could hold.
@Suite struct MutationTests {
  /// For each seed list. `VITPROBE_MUTANTS=50000` looks longer.
  private static let mutants =
    getenv("VITPROBE_MUTANTS").flatMap { Int(String(cString: $0)) } ?? 1_000

  @Test(
    arguments: [
      ["dtypes.safetensors", "none.safetensors", "sharded/model-00001-of-00002.safetensors"],
      ["f4.npy", "fortran.npy", "big_f8.npy", "scalar.npy", "version3.npy"],
      ["stored.npz", "deflated.npz"],
      ["views.pth", "deit.pth", "protocol4.pth", "parameters.pth", "evil_side.pth"],
      ["legacy_views.pth", "legacy_dtypes.pth", "legacy_training.pth"],
      ["compressed.pth", "trailing.pth"], ["tied.safetensors"],
      ["arrays.pth", "arrays2.pkl", "arrays5.pkl"],
    ])
  func mutantsAreReadOrRefused(seeds: [String]) throws {
    let folder = Scratch()
    let originals = try seeds.map { try contents(fixture($0)) }
    var generator = SeededGenerator(state: UInt64(seeds[0].utf8.count))
    var refused = 0
    for index in 0..<Self.mutants {
      let original = originals[index % originals.count]
      let path = folder.write(mutate(original, &generator), as: "mutant")
      if isRefused(path) { refused += 1 }
    }
    // A mutant that only changes values or names is sound; most are not.
    #expect(refused > Self.mutants / 10)
  }

  /// Mutants of the pickle alone, in an archive that is sound otherwise: checksums hide nothing.
  @Test func mutatedPicklesAreReadOrRefused() throws {
    let folder = Scratch()
    var pickles: [[UInt8]] = []
    for name in ["views.pth", "deit.pth", "protocol4.pth", "parameters.pth", "evil_side.pth"] {
      let archive = try ZipArchive(MappedFile(path: fixture(name)))
      for member in archive.members where member.name.hasSuffix("data.pkl") {
        pickles.append(try archive.contents(of: member).withBytes { Array($0) })
      }
    }
    let storages = ["0": [UInt8](repeating: 0, count: 24), "1": [UInt8](repeating: 0, count: 192)]
    var generator = SeededGenerator(state: 7)
    var refused = 0
    for index in 0..<Self.mutants {
      let pickle = mutate(pickles[index % pickles.count], &generator)
      let path = folder.write(torchArchive(pickle, storages: storages), as: "mutant")
      if isRefused(path) { refused += 1 }
    }
    #expect(refused > Self.mutants / 10)
  }

  /// Mutants of the header text alone, with a length that fits it.
  @Test func mutatedHeadersAreReadOrRefused() throws {
    let folder = Scratch()
    let whole = try contents(fixture("dtypes.safetensors"))
    let length = Int(whole.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
    let header = Array(whole[8..<8 + length])
    var generator = SeededGenerator(state: 11)
    var refused = 0
    for _ in 0..<Self.mutants {
      let mutant = mutate(header, &generator)
      let path = folder.write(
        little(UInt64(mutant.count)) + mutant + whole[(8 + length)...], as: "mutant")
      if isRefused(path) { refused += 1 }
    }
    #expect(refused > Self.mutants / 10)
  }

  /// Reads everything that can be read.
  private func isRefused(_ path: String) -> Bool {
    let error = failure {
      for tensor in try Checkpoint.open(path).tensors where tensor.dtype.isConvertible {
        #expect(tensor.byteCount <= 1 << 28)
        #expect(try tensor.floats().count == tensor.count)
      }
    }
    return error != nil
  }

  private func mutate(_ original: [UInt8], _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = original
    for _ in 0..<Int.random(in: 1...4, using: &generator) where !bytes.isEmpty {
      let place = Int.random(in: 0..<bytes.count, using: &generator)
      switch UInt8.random(in: 0..<8, using: &generator) {
      case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      case 1: bytes[place] = .random(in: 0...255, using: &generator)
      case 2: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF][Int.random(in: 0..<5, using: &generator)]
      case 3: bytes.remove(at: place)
      case 4: bytes.insert(.random(in: 0...255, using: &generator), at: place)
      case 5: bytes.removeSubrange(place..<min(bytes.count, place + 8))
      case 6:
        // An extreme number of up to eight bytes
        for offset in 0..<Int.random(in: 1...8, using: &generator)
        where place + offset < bytes.count {
          bytes[place + offset] = 0xFF
        }
      default:
        let source = Int.random(in: 0..<bytes.count, using: &generator)
        let piece = Array(bytes[source..<min(bytes.count, source + 16)])
        bytes.insert(contentsOf: piece, at: place)
      }
    }
    return bytes
  }
}
