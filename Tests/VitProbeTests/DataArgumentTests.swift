import Checkpoints
import Images
import TestSupport
import Testing

@testable import VitProbe

@Suite struct DataArgumentTests {
  /// Reading that fails is told from data that are wrong: the exit codes differ.
  @Test func anArrayThatChangesWhileItIsReadIsAReadingError() throws {
    let scratch = Scratch()
    let path = scratch.file("x.npy")
    func write(_ count: Int) throws {
      var writer = try NumpyWriter(creating: path, dtype: .uint8, shape: [count, 2, 2])
      try [UInt8](repeating: 7, count: 4 * count).withUnsafeBytes { try writer.append($0) }
      try writer.finish()
    }
    try write(4)
    let images = try DataArgument(path: path).open()
    #expect(try images.decode(3).width == 2)
    scratch.write(Array((Scratch.read(path) ?? []).dropLast(6)), as: "x.npy")
    let error = failure { _ = try images.decode(3) }
    #expect(error?.kind == .inputOutput)
    #expect(error?.message.contains("changed while it was being read") == true)
    try write(0)
    #expect(failure { _ = try DataArgument(path: path).open() }?.kind == .badData)
  }
}
