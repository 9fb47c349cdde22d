import Glibc
import Synchronization
import Testing

@testable import Checkpoints

/// Operations that fail, once, at the k-th call.
private final class FailingOperations: FileOperations {
  enum Fault: Sendable, CaseIterable {
    case noSpace, quota, inputOutput, interrupted, shortWrite
    var code: CInt {
      switch self {
      case .noSpace: ENOSPC
      case .quota: EDQUOT
      case .inputOutput: EIO
      case .interrupted, .shortWrite: EINTR
      }
    }
    /// Whether the writer is expected to carry on.
    var isHarmless: Bool { self == .interrupted || self == .shortWrite }
  }

  let fault: Fault
  let failing: Int
  private let system = SystemFileOperations()
  private let calls = Atomic<Int>(0)

  init(_ fault: Fault, at call: Int) {
    self.fault = fault
    failing = call
  }

  /// Calls made so far.
  var count: Int { calls.load(ordering: .relaxed) }

  private func isFailing() -> Bool { calls.wrappingAdd(1, ordering: .relaxed).newValue == failing }

  func create(_ path: String, mode: mode_t) -> CInt {
    isFailing() && !fault.isHarmless ? -fault.code : system.create(path, mode: mode)
  }

  func write(_ descriptor: CInt, _ bytes: UnsafeRawBufferPointer, at offset: Int) -> Int {
    guard isFailing() else { return system.write(descriptor, bytes, at: offset) }
    if fault == .shortWrite, bytes.count > 1 {
      return system.write(descriptor, UnsafeRawBufferPointer(rebasing: bytes[..<1]), at: offset)
    }
    return -Int(fault.code)
  }

  func synchronize(_ descriptor: CInt) -> CInt {
    isFailing() ? -fault.code : system.synchronize(descriptor)
  }

  func close(_ descriptor: CInt) -> CInt {
    let isFailing = isFailing()
    let code = system.close(descriptor)
    return isFailing ? -fault.code : code
  }

  func rename(_ old: String, to new: String) -> CInt {
    isFailing() && !fault.isHarmless ? -fault.code : system.rename(old, to: new)
  }

  func remove(_ path: String) { system.remove(path) }

  func synchronizeFolder(_ path: String) -> CInt {
    isFailing() && !fault.isHarmless ? -fault.code : system.synchronizeFolder(path)
  }
}

@Suite struct WriterFaultTests {
  private func writeSafetensors(_ path: String, _ operations: any FileOperations) throws {
    var writer = try SafetensorsWriter(
      creating: path, tensors: [.init(name: "a", shape: [2, 3])], metadata: [:],
      operations: operations)
    try fixtureFloats[..<3].withUnsafeBufferPointer { try writer.append($0, to: 0) }
    try fixtureFloats[3...].withUnsafeBufferPointer { try writer.append($0, to: 0) }
    try writer.finish()
  }

  private func writeArchive(_ path: String, _ operations: any FileOperations) throws {
    var writer = try NumpyArchiveWriter(creating: path, operations: operations)
    try writer.begin("a", shape: [2, 3])
    try fixtureFloats.withUnsafeBytes { try writer.append($0) }
    try writer.finish()
  }

  /// For every kind of fault and every call k: the old file stays or the new one is whole, and no
  /// temporary file is left.
  @Test(arguments: [false, true])
  func aFaultAtAnyCallLeavesNothingHalfWritten(isArchive: Bool) throws {
    let write = isArchive ? writeArchive : writeSafetensors
    var failures = 0
    for fault in FailingOperations.Fault.allCases {
      var call = 1
      while true {
        let folder = TemporaryFolder()
        let path = folder.write([1, 2, 3], as: "out")
        let operations = FailingOperations(fault, at: call)
        let error = failure { try write(path, operations) }
        #expect(folder.names == ["out"], "\(fault) at call \(call)")
        if operations.count < call { break }
        if fault.isHarmless {
          #expect(error == nil, "\(fault) at call \(call)")
        } else {
          #expect(error?.kind == .cannotWrite || call == 1 && error?.kind == .cannotCreate)
          #expect(error?.file == path)
          failures += 1
        }
        let written = try contents(path)
        if written != [1, 2, 3] {
          // Only a failure after the rename comes too late to keep the old file.
          #expect(error == nil || error?.found.contains("folder") == true)
          #expect(try Checkpoint.open(path)["a"]?.floats() == fixtureFloats)
        } else {
          #expect(error != nil)
        }
        call += 1
      }
    }
    #expect(failures > 15)
  }

  @Test func refusesToReplaceWhatIsNotAFile() throws {
    let folder = TemporaryFolder()
    let pipe = folder.path + "/pipe"
    #expect(mkfifo(pipe, 0o600) == 0)
    for path in [folder.path, pipe, "/dev/full", folder.path + "/none/out", folder.path + "/", ""] {
      let error = failure { _ = try NumpyArchiveWriter(creating: path) }
      #expect(error?.kind == .cannotCreate, "\(path)")
    }
    #expect(folder.names == ["pipe"])
  }

  @Test func keepsTheModeOfTheFileItReplaces() throws {
    let folder = TemporaryFolder()
    let path = folder.write([1], as: "out")
    #expect(chmod(path, 0o640) == 0)
    try writeSafetensors(path, SystemFileOperations())
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o640)
  }
}
