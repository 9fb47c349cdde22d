import DurableFiles
import Glibc
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct WriterFaultTests {
  private func writeSafetensors(_ path: String, _ calls: FileSystemCalls) throws {
    var writer = try SafetensorsWriter(
      creating: path, tensors: [.init(name: "a", shape: [2, 3])], metadata: [:], calls: calls)
    try fixtureFloats[..<3].withUnsafeBufferPointer { try writer.append($0, to: 0) }
    try fixtureFloats[3...].withUnsafeBufferPointer { try writer.append($0, to: 0) }
    try writer.finish()
  }

  private func writeArchive(_ path: String, _ calls: FileSystemCalls) throws {
    var writer = try NumpyArchiveWriter(creating: path, calls: calls)
    try writer.begin("a", shape: [2, 3])
    try fixtureFloats.withUnsafeBytes { try writer.append($0) }
    try writer.finish()
  }

  private func write(isArchive: Bool, _ path: String, _ calls: FileSystemCalls) throws {
    if isArchive { try writeArchive(path, calls) } else { try writeSafetensors(path, calls) }
  }

  /// For every kind of fault and every call: the old file stays or the new one is whole, and no
  /// temporary file is left.
  @Test(arguments: [false, true], [ENOSPC, EDQUOT, EIO])
  func aFaultAtAnyCallLeavesNothingHalfWritten(isArchive: Bool, code: Int32) throws {
    let total = FaultyCalls()
    let whole = Scratch()
    try write(isArchive: isArchive, whole.file("out"), total.calls)
    #expect(whole.names() == ["out"])
    #expect(total.count >= 9)
    for call in 0..<total.count {
      let folder = Scratch()
      let path = folder.write([1, 2, 3], as: "out")
      let faulty = FaultyCalls(failing: call, code: code)
      let error = failure { try write(isArchive: isArchive, path, faulty.calls) }
      #expect(folder.names() == ["out"], "call \(call)")
      #expect(error?.kind == (call == 0 ? .cannotCreate : .cannotWrite), "call \(call)")
      #expect(error?.file == path)
      #expect(error?.found.contains(String(cString: strerror(code))) == true)
      #expect(error?.advice.isEmpty == (code == EIO))
      if try contents(path) != [1, 2, 3] {
        // Only a failure after the rename comes too late to keep the old file.
        #expect(error?.found.contains("folder") == true)
        #expect(try Checkpoint.open(path)["a"]?.floats() == fixtureFloats)
      }
    }
  }

  @Test(arguments: [false, true])
  func interruptionsAndShortWritesGoOn(isArchive: Bool) throws {
    let total = FaultyCalls()
    let whole = Scratch()
    try write(isArchive: isArchive, whole.file("out"), total.calls)
    #expect(whole.names() == ["out"])
    for call in 0..<total.count {
      let folder = Scratch()
      let path = folder.file("out")
      let faulty = FaultyCalls(failing: call, code: EINTR)
      faulty.writeLimit = 5
      // A rename is never interrupted; every other call is tried again.
      if let error = failure({ try write(isArchive: isArchive, path, faulty.calls) }) {
        #expect(error.found.contains("name"), "call \(call): \(error)")
        #expect(folder.names().isEmpty)
      } else {
        #expect(try Checkpoint.open(path)["a"]?.floats() == fixtureFloats)
      }
    }
  }

  @Test func refusesToReplaceWhatIsNotAFile() throws {
    let folder = Scratch()
    let pipe = folder.path + "/pipe"
    #expect(mkfifo(pipe, 0o600) == 0)
    for path in [folder.path, pipe, "/dev/full", folder.path + "/none/out", folder.path + "/", ""] {
      let error = failure { _ = try NumpyArchiveWriter(creating: path) }
      #expect(error?.kind == .cannotCreate, "\(path)")
    }
    #expect(folder.names() == ["pipe"])
  }

  @Test func keepsTheModeOfTheFileItReplaces() throws {
    let folder = Scratch()
    let path = folder.write([1], as: "out")
    #expect(chmod(path, 0o640) == 0)
    try writeSafetensors(path, .system)
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o640)
  }
}
