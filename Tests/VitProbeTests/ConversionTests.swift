import Checkpoints
import TestSupport
import Testing

@testable import VitProbe

/// Checkpoints written again: what is in the result, and what is said of the rest.
@Suite struct ConversionTests {
  private static func fixture(_ name: String) -> String {
    #filePath.dropLast("VitProbeTests/ConversionTests.swift".count)
      + "CheckpointsTests/Fixtures/" + name
  }

  @Test(arguments: ["deit.pth", "legacy_training.pth", "module_prefix.pth.tar"])
  func valuesAreTheSameInBothFormats(name: String) throws {
    let scratch = Scratch()
    let original = try Checkpoint.open(Self.fixture(name))
    let conversion = try Conversion(Self.fixture(name))
    for out in ["x.safetensors", "x.npz"] {
      let path = scratch.file(out)
      #expect(try conversion.write(to: path, replacing: false) == original.tensors.count)
      let copy = try Checkpoint.open(path)
      #expect(copy.format.rawValue == out.dropFirst(2))
      for tensor in original.tensors {
        #expect(
          copy[tensor.name]?.dtype == tensor.dtype && copy[tensor.name]?.shape == tensor.shape)
        #expect(try copy[tensor.name]?.floats() == tensor.floats())
      }
      #expect(copy.metadata == (out == "x.npz" ? [:] : original.metadata))
      let notes = conversion.notes(writing: path)
      #expect(notes.contains { $0.contains("metadata") } == (out == "x.npz"))
      #expect(notes.contains { $0.contains("`entry`") } == (original.torch?.entries.count != 1))
      #expect(throws: VitProbeError.self) { try conversion.write(to: path, replacing: false) }
    }
  }

  @Test func whatAFormatCannotHoldIsRefused() throws {
    let scratch = Scratch()
    let conversion = try Conversion(Self.fixture("dtypes.pth"))
    let path = scratch.file("x.npz")
    let error = #expect(throws: CheckpointError.self) {
      try conversion.write(to: path, replacing: false)
    }
    #expect(error?.description.contains("BF16") == true)
    #expect(scratch.names().isEmpty)
    for name in ["x.pth", "x.npy", "x.h5", "x"] {
      let error = #expect(throws: VitProbeError.self) {
        try conversion.write(to: scratch.file(name), replacing: false)
      }
      #expect(error?.kind == .usage && error?.message.contains(".safetensors or .npz") == true)
    }
    #expect(scratch.names().isEmpty)
  }

  @Test func anEntryIsChosen() throws {
    let scratch = Scratch()
    func first(_ entry: CheckpointEntry) throws -> Float? {
      let path = scratch.file("x.safetensors")
      _ = try Conversion(Self.fixture("distillation.pth"), entry: entry)
        .write(to: path, replacing: true)
      return try Checkpoint.open(path)["floats"]?.floats().first
    }
    #expect(try first(.automatic) == -1)
    #expect(try first(.averaged) == -1)
    #expect(try first(.named("student")) == -2)
  }
}
