import Glibc
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct TorchTests {
  @Test func readsEveryType() throws {
    let checkpoint = try Checkpoint.open(fixture("dtypes.pth"))
    #expect(checkpoint.format == .torch)
    #expect(checkpoint.torch?.wrappers == [])
    #expect(checkpoint.torch?.foreignNames == [])
    for name in ["F64", "F32", "F16", "BF16"] {
      #expect(checkpoint[name]?.dtype.rawValue == name)
      #expect(try checkpoint[name]?.floats() == fixtureFloats, "\(name)")
    }
    for name in ["I64", "I32", "I16", "I8", "U8", "U16", "U32", "U64"] {
      #expect(checkpoint[name]?.dtype.rawValue == name)
      #expect(try checkpoint[name]?.floats() == [0, 1, 2, 3, 4, 5], "\(name)")
    }
    #expect(try checkpoint["BOOL"]?.floats() == [0, 1, 1, 1, 1, 1])
    #expect(checkpoint["scalar"]?.shape == [])
    #expect(try checkpoint["scalar"]?.floats() == [2.5])
    #expect(try checkpoint["empty"]?.floats() == [])
    let payload = try #require(try checkpoint["F32"]?.payload())
    #expect(payload.isMapped && payload.isAligned(to: 64))
  }

  @Test func readsViewsOfASharedStorage() throws {
    let checkpoint = try Checkpoint.open(fixture("views.pth"))
    func expect(_ name: String, _ shape: [Int], _ values: [Float]) throws {
      #expect(checkpoint[name]?.shape == shape, "\(name)")
      #expect(try checkpoint[name]?.floats() == values, "\(name)")
    }
    let base = (0..<24).map(Float.init)
    try expect("base", [2, 3, 4], base)
    var transposed: [Float] = []
    for c in 0..<4 {
      for b in 0..<3 { for a in 0..<2 { transposed.append(base[a * 12 + b * 4 + c]) } }
    }
    try expect("transposed", [4, 3, 2], transposed)
    try expect("slice", [3, 2], [13, 14, 17, 18, 21, 22])
    try expect("step", [5], [0, 5, 10, 15, 20])
    try expect("expanded", [3, 4], [Float](repeating: 0, count: 12))
    try expect("row", [4], [20, 21, 22, 23])
    try expect("channels_last", [2, 3, 2, 4], (0..<48).map(Float.init))
    try expect("one", [1, 3, 1], [0, 4, 8])
    #expect(try checkpoint["row"]?.payload().isMapped == true)
    #expect(try checkpoint["channels_last"]?.payload().isMapped == false)
  }

  /// PyTorch writes any stride there; the tensor is dense and stays in the file all the same.
  @Test(arguments: [[3, 99, 1], [3, 0, 1], [3, 1, 1], [3, 3, 1]])
  func theStrideOfAnAxisOfExtentOneDoesNotMatter(strides: [Int32]) throws {
    let values: [Float] = [1, 2, 3, 4, 5, 6]
    let scratch = Scratch()
    let bytes = values.flatMap { little($0.bitPattern) }
    let tensor = Pickle.tensor(
      storage: Pickle.storage(count: 6), shape: [2, 1, 3], strides: strides)
    let transposed = Pickle.tensor(
      storage: Pickle.storage(count: 6), shape: [3, 1, 2], strides: [1, strides[1], 3])
    let names = [(Pickle.string("a"), tensor), (Pickle.string("b"), transposed)]
    scratch.write(
      torchArchive([0x80, 2] + Pickle.dictionary(names) + Pickle.stop, storages: ["0": bytes]),
      as: "a.pth")
    let checkpoint = try Checkpoint.open(scratch.file("a.pth"))
    #expect(try checkpoint["a"]?.floats() == values)
    #expect(try checkpoint["a"]?.payload().bytes.count == 24)
    #expect(checkpoint["a"]?.storage.strides == nil)
    #expect(try checkpoint["b"]?.floats() == [1, 4, 2, 5, 3, 6])
  }

  @Test func readsParameters() throws {
    let checkpoint = try Checkpoint.open(fixture("parameters.pth"))
    #expect(try checkpoint["p"]?.floats() == fixtureFloats)
    #expect(try checkpoint["q"]?.floats() == fixtureFloats)
  }

  @Test func readsTheStateDictOfATrainingFile() throws {
    let checkpoint = try Checkpoint.open(fixture("module_prefix.pth.tar"))
    #expect(checkpoint.torch?.wrappers == ["state_dict"])
    #expect(checkpoint.metadata == ["name": "resnet", "epoch": "7"])
    #expect(
      checkpoint.tensors.map(\.name) == [
        "module.0.weight", "module.0.bias", "module.1.weight", "module.1.bias",
        "module.1.running_mean", "module.1.running_var", "module.1.num_batches_tracked",
      ])
    #expect(try checkpoint["module.0.weight"]?.floats() == fixtureFloats)
    #expect(checkpoint["module.1.num_batches_tracked"]?.dtype == .int64)
  }

  @Test func takesAveragedWeightsBeforeOthersAndSaysSo() throws {
    let averaged = try Checkpoint.open(fixture("deit.pth"))
    #expect(averaged.torch?.wrappers == ["model_ema"])
    #expect(averaged.torch?.entries.map(\.name) == ["model_ema", "model", ""])
    #expect(averaged.torch?.entries.map(\.kind) == [.averaged, .weights, .whole])
    #expect(try averaged["floats"]?.floats() == fixtureFloats.map { $0 + 1 })
    #expect(averaged.notes.count == 1)
    #expect(averaged.notes.first?.contains("averaged") == true)
    #expect(
      averaged.metadata == [
        "epoch": "299", "args.model": "deit_tiny_patch16_224", "args.lr": "0.0005",
        "metric": "0.721",
      ])
    let plain = try Checkpoint.open(fixture("deit.pth"), entry: .named("model"))
    #expect(plain.torch?.wrappers == ["model"])
    #expect(try plain["floats"]?.floats() == fixtureFloats)
    #expect(
      try Checkpoint.open(fixture("deit.pth"), entry: .averaged).torch?.wrappers == ["model_ema"])
    let without = failure { _ = try Checkpoint.open(fixture("nested.pth"), entry: .averaged) }
    #expect(without?.kind == .missing)
  }

  @Test(
    arguments: [
      ("distillation.pth", ["teacher"], ["student"]),
      ("twice.pth", ["model", "teacher"], ["model", "student"]),
      ("legacy_training.pth", ["state_dict_ema"], ["state_dict"]),
    ])
  func takesATeacherBeforeItsStudent(
    name: String, taken: [String], other: [String]
  ) throws {
    let checkpoint = try Checkpoint.open(fixture(name))
    #expect(checkpoint.torch?.wrappers == taken)
    #expect(try checkpoint["floats"]?.floats() == fixtureFloats.map { $0 + 1 })
    #expect(checkpoint.notes.count == 1)
    for key in [other.joined(separator: "/"), other.last ?? ""] {
      let chosen = try Checkpoint.open(fixture(name), entry: .named(key))
      #expect(chosen.torch?.wrappers == other)
      #expect(try chosen["floats"]?.floats() == fixtureFloats)
    }
    let wrong = failure { _ = try Checkpoint.open(fixture(name), entry: .named("net")) }
    #expect(wrong?.kind == .missing && wrong?.description.contains(other.last ?? "") == true)
  }

  @Test(
    arguments: [
      "arrays.pth", "arrays2.pkl", "arrays4.pkl", "arrays5.pkl",
    ])
  func readsArraysInADictionary(name: String) throws {
    let checkpoint = try Checkpoint.open(fixture(name))
    #expect(checkpoint.format == (name == "arrays.pth" ? .torch : .pickle))
    #expect(checkpoint.metadata["epoch"] == "3")
    for name in ["floats", "half", "big", "fortran"] {
      #expect(checkpoint[name]?.shape == [2, 3])
      #expect(try checkpoint[name]?.floats() == fixtureFloats, "\(name)")
    }
    #expect(checkpoint["big"]?.dtype == .float64 && checkpoint["half"]?.dtype == .float16)
    #expect(try checkpoint["ints"]?.floats() == [0, 1, 2, 3, 4, 5])
    #expect(try checkpoint["scalar"]?.floats() == [2.5])
    #expect(try checkpoint["empty"]?.floats() == [])
    #expect(checkpoint["names"] == nil)
    #expect(checkpoint.torch?.skipped.map(\.name) == ["names"])
  }

  // MARK: The stream of before PyTorch 1.6

  @Test func readsEveryTypeOfTheStream() throws {
    let checkpoint = try Checkpoint.open(fixture("legacy_dtypes.pth"))
    #expect(checkpoint.format == .torch && checkpoint.notes.isEmpty)
    for name in ["F64", "F32", "F16", "BF16"] {
      #expect(checkpoint[name]?.dtype.rawValue == name)
      #expect(try checkpoint[name]?.floats() == fixtureFloats, "\(name)")
    }
    for name in ["I64", "I32", "I16", "I8", "U8"] {
      #expect(checkpoint[name]?.dtype.rawValue == name)
      #expect(try checkpoint[name]?.floats() == [0, 1, 2, 3, 4, 5], "\(name)")
    }
    #expect(try checkpoint["BOOL"]?.floats() == [0, 1, 1, 1, 1, 1])
    #expect(try checkpoint["scalar"]?.floats() == [2.5])
    #expect(try checkpoint["empty"]?.floats() == [])
  }

  /// The same views by the stream, and by an archive that was packed again, compressed.
  @Test(arguments: ["legacy_views.pth", "compressed.pth"])
  func readsViewsOfOneStorage(name: String) throws {
    let (own, other) = (
      try Checkpoint.open(fixture(name)), try Checkpoint.open(fixture("views.pth"))
    )
    #expect(own.tensors.count >= 5)
    for tensor in own.tensors {
      let twin = try #require(other[tensor.name])
      #expect(tensor.shape == twin.shape)
      #expect(try tensor.floats() == twin.floats(), "\(tensor.name)")
    }
  }

  @Test(arguments: ["legacy_trailing.pth", "trailing.pth"])
  func bytesAfterTheEndArePassedOverAndTold(name: String) throws {
    let checkpoint = try Checkpoint.open(fixture(name))
    #expect(try checkpoint["floats"]?.floats() == fixtureFloats)
    #expect(checkpoint.notes.count == 1 && checkpoint.notes[0].contains("512 bytes after"))
  }

  @Test(
    arguments: [
      ("nested.pth", ["model", "state_dict"]), ("model_state_dict.pth", ["model_state_dict"]),
      ("protocol2.pth", ["state_dict"]), ("protocol3.pth", ["state_dict"]),
      ("protocol4.pth", ["state_dict"]), ("protocol5.pth", ["state_dict"]),
      ("without_checksums.pth", []), ("legacy.pth", []), ("unknown_key.pth", ["trunk"]),
    ])
  func unwraps(name: String, wrappers: [String]) throws {
    let checkpoint = try Checkpoint.open(fixture(name))
    #expect(checkpoint.torch?.wrappers == wrappers)
    #expect(checkpoint.tensors.map(\.name) == ["floats"])
    #expect(try checkpoint["floats"]?.floats() == fixtureFloats)
  }

  @Test(
    arguments: [
      ("optimizer.pth", "optimizer"), ("torchscript.pt", "TorchScript"),
      ("whole_model.pth", "torch.nn.modules.linear.Linear"),
      ("sparse.pth", "torch._utils._rebuild_sparse_tensor"),
      ("quantised.pth", "torch._utils._rebuild_qtensor"),
      ("evil_tensor.pth", "posix.system"),
    ])
  func refusesByName(name: String, says: String) throws {
    let error = try #require(failure { try Checkpoint.check(fixture(name)) })
    #expect(error.kind == .unsupported)
    #expect(error.description.contains(says), "\(error)")
    #expect(!error.advice.isEmpty)
  }

  @Test(arguments: ["evil_side.pth", "evil_bare.pth"])
  func codeBesideTheTensorsIsNamedAndNeverRun(name: String) throws {
    let checkpoint = try Checkpoint.open(fixture(name))
    #expect(try checkpoint["floats"]?.floats() == fixtureFloats)
    #expect(checkpoint.torch?.foreignNames == ["posix.system"])
    #expect(access("/tmp/vitprobe-was-here", F_OK) != 0)
  }
}
