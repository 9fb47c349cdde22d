import TestSupport
import Testing

@testable import Checkpoints

@Suite struct NumpyTests {
  @Test(arguments: [
    "f2", "f4", "f8", "big_f2", "big_f4", "big_f8", "version1", "version2", "version3",
  ])
  func readsFloats(name: String) throws {
    let array = try NumpyArray.open(fixture(name + ".npy"))
    #expect(array.shape == [2, 3])
    #expect(try array.floats() == fixtureFloats)
  }

  @Test(arguments: ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "big_i4"])
  func readsIntegers(name: String) throws {
    #expect(try NumpyArray.open(fixture(name + ".npy")).floats() == [0, 1, 2, 3, 4, 5])
  }

  @Test func readsTruthValuesScalarsAndEmptyArrays() throws {
    #expect(try NumpyArray.open(fixture("b1.npy")).floats() == [0, 1, 1, 1, 1, 1])
    let scalar = try NumpyArray.open(fixture("scalar.npy"))
    #expect(scalar.shape == [])
    #expect(try scalar.floats() == [2.5])
    let empty = try NumpyArray.open(fixture("empty.npy"))
    #expect(empty.shape == [0, 3])
    #expect(try empty.floats() == [])
  }

  @Test(arguments: ["fortran", "big_fortran"])
  func turnsColumnMajorIntoRowMajor(name: String) throws {
    let array = try NumpyArray.open(fixture(name + ".npy"))
    #expect(array.shape == [2, 3, 4])
    #expect(try array.floats() == (0..<24).map(Float.init))
  }

  @Test func singlesAndBytesAreReadWithoutACopy() throws {
    #expect(try NumpyArray.open(fixture("f4.npy")).payload().isMapped)
    let payload = try NumpyArray.open(fixture("u1.npy")).payload()
    #expect(payload.isMapped)
    #expect(payload.withBytes { Array($0) } == [0, 1, 2, 3, 4, 5])
    #expect(try !NumpyArray.open(fixture("fortran.npy")).payload().isMapped)
  }

  @Test(arguments: ["object", "text", "structured", "complex"])
  func refusesWhatIsNotNumbers(name: String) throws {
    let error = try #require(failure { _ = try NumpyArray.open(fixture(name + ".npy")) })
    #expect(error.kind == .unsupported)
    #expect(!error.advice.isEmpty)
  }

  @Test(arguments: ["stored.npz", "deflated.npz"])
  func readsArchives(name: String) throws {
    let checkpoint = try Checkpoint.open(fixture(name))
    #expect(checkpoint.format == .npz)
    #expect(checkpoint["floats"]?.shape == [2, 3])
    #expect(try checkpoint["floats"]?.floats() == fixtureFloats)
    #expect(try checkpoint["ints"]?.floats() == [0, 1, 2, 3, 4, 5])
    if let zeros = checkpoint["zeros"] {
      #expect(try zeros.floats() == [Float](repeating: 0, count: 100_000))
    } else {
      #expect(try checkpoint["fortran"]?.floats() == fixtureFloats)
      #expect(try checkpoint["floats"]?.payload().isMapped == true)
    }
  }

  @Test func anArrayIsACheckpointOfOneTensor() throws {
    let checkpoint = try Checkpoint.open(fixture("f4.npy"))
    #expect(checkpoint.format == .npy)
    #expect(checkpoint.tensors.map(\.name) == ["f4"])
  }

  @Test func whatIsWrittenIsRead() throws {
    let folder = Scratch()
    let path = folder.path + "/out.npy"
    var writer = try NumpyWriter(creating: path, shape: [2, 3])
    try fixtureFloats[..<1].withUnsafeBytes { try writer.append($0) }
    try fixtureFloats[1...].withUnsafeBytes { try writer.append($0) }
    try writer.finish()
    let array = try NumpyArray.open(path)
    #expect(array.shape == [2, 3])
    #expect(try array.floats() == fixtureFloats)
    // NumPy itself writes the same bytes.
    #expect(try contents(path) == contents(fixture("f4.npy")))
  }

  @Test func writtenArchivesAreRead() throws {
    let folder = Scratch()
    let path = folder.path + "/out.npz"
    var writer = try NumpyArchiveWriter(creating: path)
    try writer.begin("blocks.0/attn", shape: [2, 3])
    try fixtureFloats.withUnsafeBytes { try writer.append($0) }
    try writer.begin("empty", dtype: .int64, shape: [0])
    try writer.begin("bytes", dtype: .uint8, shape: [3])
    try [UInt8]([1, 2]).withUnsafeBytes { try writer.append($0) }
    try [UInt8]([3]).withUnsafeBytes { try writer.append($0) }
    try writer.finish()
    let checkpoint = try Checkpoint.open(path)
    #expect(checkpoint.tensors.map(\.name) == ["blocks.0/attn", "empty", "bytes"])
    #expect(try checkpoint["blocks.0/attn"]?.floats() == fixtureFloats)
    #expect(try checkpoint["blocks.0/attn"]?.payload().isAligned(to: 64) == true)
    #expect(try checkpoint["bytes"]?.floats() == [1, 2, 3])
    #expect(folder.names() == ["out.npz"])
  }

  @Test func anIncompleteArchiveNeverAppears() throws {
    let folder = Scratch()
    let error = failure {
      var writer = try NumpyArchiveWriter(creating: folder.path + "/out.npz")
      try writer.begin("a", shape: [2])
      try writer.finish()
    }
    #expect(error?.kind == .cannotWrite)
    for name in ["", "/a", "../a", "a\\b", "a\0"] {
      let error = failure {
        var writer = try NumpyArchiveWriter(creating: folder.path + "/out.npz")
        try writer.begin(name, shape: [0])
      }
      #expect(error?.kind == .cannotCreate, "\(name)")
    }
    let twice = failure {
      var writer = try NumpyArchiveWriter(creating: folder.path + "/out.npz")
      try writer.begin("a", shape: [0])
      try writer.begin("a", shape: [0])
    }
    #expect(twice?.kind == .cannotCreate)
    #expect(folder.names().isEmpty)
  }
}
