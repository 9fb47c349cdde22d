import TestSupport
import Testing

@testable import Checkpoints

private func op(_ text: String) -> [UInt8] { Array(text.utf8) }

private func pickle(
  _ name: String, _ bytes: [UInt8], _ kind: CheckpointError.Kind = .malformed, says: String = ""
) -> HostileFile {
  HostileFile(name, torchArchive(bytes), kind, says: says)
}

private func tensor(
  _ name: String, _ bytes: [UInt8], _ kind: CheckpointError.Kind = .malformed, says: String = ""
) -> HostileFile {
  HostileFile(name, torchArchive(stateDict(bytes)), kind, says: says)
}

private func wrapped(_ value: [UInt8]) -> [UInt8] {
  Pickle.dictionary([
    (
      Pickle.string("state_dict"),
      Pickle.dictionary([(Pickle.string("a"), Pickle.tensor()), (Pickle.string("b"), value)])
    )
  ]) + Pickle.stop
}

private let typed = Pickle.global("torch", "FloatStorage")

private let archives: [HostileFile] = [
  .init(
    "no data.pkl", ZipBuilder([.init("archive/version", [0x33])]).bytes(), .unsupported,
    says: "data.pkl"),
  .init(
    "data.pkl in two folders",
    torchArchive(stateDict()) {
      $0.members.append(.init("other/data.pkl", stateDict()))
    }, .malformed, says: "data.pkl"),
  .init("data.pkl twice", torchArchive(stateDict()) { $0.members.append($0.members[0]) }),
  .init(
    "TorchScript",
    torchArchive(stateDict()) {
      $0.members.append(.init("archive/constants.pkl", [0x2E]))
    }, .unsupported, says: "TorchScript"),
  .init(
    "strange byte order",
    torchArchive(stateDict()) {
      $0.members.append(.init("archive/byteorder", Array("middle".utf8)))
    }),
  .init("storage missing", torchArchive(stateDict(), storages: [:]), .missing, says: "data/0"),
  .init("storage short", torchArchive(stateDict(), storages: ["0": [1, 2, 3]])),
  .init(
    "storage long", torchArchive(stateDict(), storages: ["0": [UInt8](repeating: 0, count: 20)])),
  .init(
    "compressed storage of another size", torchArchive(stateDict(), compressing: 12),
    says: "12 bytes"),
  .init(
    "compressed members of 2 GB",
    torchArchive(stateDict()) { builder in
      for index in 0..<8 {
        // A thousand to one, which deflate can do.
        var member = ZipBuilder.Member("archive/x\(index)", [UInt8](repeating: 0, count: 262_144))
        (member.method, member.inflatedSize, member.checksum) = (8, 256 << 20, 1)
        builder.members.append(member)
      }
    }, .limitExceeded, says: "compressed members"),
  .init(
    "storage damaged", torchArchive(stateDict()) { $0.members[1].checksum = 7 }, says: "CRC-32"),
  .init(
    "tar", [UInt8](repeating: 0x61, count: 257) + op("ustar") + [UInt8](repeating: 0, count: 250),
    .unsupported, says: "tar"),
  .init("a pickle without its storages", stateDict(), .missing, says: "storage"),
  .init("gzip", [0x1F, 0x8B, 8] + [UInt8](repeating: 0, count: 20), .unsupported, says: "gzip"),
  .init("HDF5", [0x89] + op("HDF\r\n") + [0x1A, 0x0A], .unsupported, says: "HDF5"),
]

private let pickles: [HostileFile] = [
  pickle("empty", [], .truncated), pickle("STOP alone", Pickle.stop),
  pickle("no STOP", Array(stateDict().dropLast()), .truncated),
  pickle("bytes after STOP", stateDict() + [0]),
  pickle("unknown operation", [0xFF]), pickle("unknown protocol", [0x80, 6] + Pickle.stop),
  pickle("stack underflow", op("0.")), pickle("underflow of a tuple", op("N") + [0x87]),
  pickle("below the mark", op("N(a.")), pickle("no mark", op("t.")),
  pickle("no mark for items", op("}u.")),
  pickle("odd items", op("}(Nu.")), pickle("memo missing", op("h\u{05}.")),
  pickle("long memo missing", op("j") + [255, 255, 255, 255]), pickle("memo of text", op("gx\n.")),
  pickle("append to None", op("NNa.")), pickle("set an item of a list", op("]NNs.")),
  pickle("text of 4 GB", op("X") + [255, 255, 255, 255], .truncated),
  pickle("text of 2^64", [0x8D] + [UInt8](repeating: 255, count: 8), .truncated),
  pickle("bytes of 2^63", [0x8E, 0, 0, 0, 0, 0, 0, 0, 0x80], .truncated),
  pickle("integer of 4 GB", [0x8B, 255, 255, 255, 255], .truncated),
  pickle("text that is not UTF-8", op("X") + [1, 0, 0, 0, 0xFF] + Pickle.stop),
  pickle("line without end", op("I123"), .truncated), pickle("not a number", op("Ix\n.")),
  pickle("not a float", op("Fx\n.")),
  pickle("frame lies", [0x95] + [UInt8](repeating: 255, count: 8)),
  pickle("extension code", [0x82, 1] + Pickle.stop),
  pickle("long extension code", [0x84, 1, 0, 0, 0]),
  pickle("outside buffer", [0x97] + Pickle.stop),
  pickle("arguments not a tuple", Pickle.global("os", "system") + op("NR.")),
  pickle("name not text", op("NN") + [0x93] + Pickle.stop),
  pickle("name of 2 kB", Pickle.global(String(repeating: "m", count: 2000), "f") + Pickle.stop),
  pickle("object without a class", op("(o.")),
  pickle(
    "a million operations", [UInt8](repeating: 0x4E, count: 1_000_001), .limitExceeded,
    says: "1000000"),
  pickle("a list", op("]."), .unsupported), pickle("None", op("N."), .unsupported, says: "None"),
  pickle(
    "dictionary without tensors", op("}(") + Pickle.string("lr") + op("K\u{01}u."), .unsupported,
    says: "lr"),
  pickle(
    "nested 300000 deep", op("N") + [UInt8](repeating: 0x85, count: 300_000) + Pickle.stop,
    .unsupported, says: "tuple"),
  pickle("a list within itself", op("]q\u{00}h\u{00}a."), .unsupported),
  pickle(
    "a dictionary within itself",
    op("}q\u{00}") + Pickle.string("state_dict") + op("h\u{00}s."), .unsupported),
  pickle(
    "code as the whole file", Pickle.call("os", "system", [Pickle.string("true")]) + Pickle.stop,
    .unsupported, says: "os.system"),
  pickle(
    "INST", op("(") + Pickle.string("true") + op("ios\nsystem\n."), .unsupported, says: "os.system"),
  pickle(
    "OBJ", op("(") + Pickle.global("os", "system") + Pickle.string("true") + op("o."),
    .unsupported, says: "os.system"),
  pickle(
    "STACK_GLOBAL", Pickle.string("os") + Pickle.string("system") + [0x93] + op(")R."),
    .unsupported, says: "os.system"),
  pickle(
    "code in place of a tensor",
    wrapped(Pickle.call("builtins", "eval", [Pickle.string("1")])), .unsupported,
    says: "builtins.eval"),
  pickle(
    "a dotted name in place of a tensor",
    wrapped(Pickle.call("torch", "_utils.os.system", [Pickle.string("true")])), .unsupported,
    says: "torch._utils.os.system"),
  pickle(
    "a tensor wrapped in code", wrapped(Pickle.call("os", "system", [Pickle.tensor()])),
    .unsupported, says: "os.system"),
  pickle(
    "the name of a tensor twice",
    Pickle.dictionary([
      (Pickle.string("a"), Pickle.tensor()), (Pickle.string("a"), Pickle.tensor()),
    ]) + Pickle.stop, says: "second time"),
]

private let tensors: [HostileFile] = [
  tensor("negative offset", Pickle.tensor(offset: -1)),
  tensor("offset beyond", Pickle.tensor(offset: 4), says: "storage of 4"),
  tensor("view beyond", Pickle.tensor(offset: 1), says: "storage of 4"),
  tensor("negative extent", Pickle.tensor(shape: [-4])),
  tensor("negative stride", Pickle.tensor(offset: 3, strides: [-1])),
  tensor("stride beyond", Pickle.tensor(strides: [2])),
  tensor("fewer strides", Pickle.tensor(shape: [2, 2], strides: [2])),
  tensor(
    "stride overflow",
    Pickle.tensor(
      shape: [.max, .max, .max], strides: [.max, .max, .max])),
  tensor("repeated 2^62 times", Pickle.tensor(shape: [.max, .max], strides: [0, 0])),
  tensor(
    "repeated 10^9 times", Pickle.tensor(shape: [1_000_000_000], strides: [0]), .limitExceeded),
  tensor(
    "100 axes",
    Pickle.tensor(
      shape: [Int32](repeating: 1, count: 100), strides: [Int32](repeating: 1, count: 100))),
  tensor(
    "shape as a list",
    Pickle.call(
      "torch._utils", "_rebuild_tensor_v2",
      [
        Pickle.storage(), Pickle.integer(0), op("]"), op(")"), Pickle.none, Pickle.none,
      ])),
  tensor(
    "too few arguments", Pickle.call("torch._utils", "_rebuild_tensor_v2", [Pickle.storage()]),
    .unsupported),
  tensor("no storage", Pickle.tensor(storage: Pickle.none)),
  tensor("storage of another form", Pickle.tensor(storage: Pickle.none + op("Q"))),
  tensor(
    "module reference",
    Pickle.tensor(
      storage: Pickle.tuple([
        Pickle.string("module"), typed, Pickle.string("0"), Pickle.string("cpu"), Pickle.integer(4),
      ]) + op("Q"))),
  tensor(
    "four parts",
    Pickle.tensor(
      storage: Pickle.tuple([
        Pickle.string("storage"), typed, Pickle.string("0"), Pickle.integer(4),
      ]) + op("Q"))),
  tensor("PERSID line", Pickle.tensor(storage: op("P0\n"))),
  tensor("negative count", Pickle.tensor(storage: Pickle.storage(count: -4))),
  tensor("count lies", Pickle.tensor(storage: Pickle.storage(count: .max))),
  tensor("key with a path", Pickle.tensor(storage: Pickle.storage(key: "../data.pkl")), .missing),
  tensor(
    "storage class of another module",
    Pickle.tensor(
      storage: Pickle.storage(type: Pickle.global("os", "FloatStorage"))), .unsupported, says: "os."
  ),
  tensor(
    "quantised storage",
    Pickle.tensor(
      storage: Pickle.storage(type: Pickle.global("torch", "QInt8Storage"))), .unsupported),
  tensor(
    "untyped storage without a type",
    Pickle.tensor(
      storage: Pickle.storage(type: Pickle.global("torch.storage", "UntypedStorage"))), .unsupported
  ),
  tensor(
    "sparse", Pickle.call("torch._utils", "_rebuild_sparse_tensor", [Pickle.none, Pickle.none]),
    .unsupported, says: "_rebuild_sparse_tensor"),
  tensor("quantised", Pickle.call("torch._utils", "_rebuild_qtensor", []), .unsupported),
  tensor(
    "of a foreign class",
    Pickle.call(
      "torch._tensor", "_rebuild_from_type_v2",
      [
        Pickle.global("torch._utils", "_rebuild_tensor_v2"), Pickle.global("os", "system"),
        Pickle.tuple([
          Pickle.storage(), Pickle.integer(0), Pickle.integers([4]), Pickle.integers([1]),
          Pickle.none,
          Pickle.none,
        ]), Pickle.none,
      ]), .unsupported, says: "os.system"),
  tensor(
    "by a foreign function",
    Pickle.call(
      "torch._tensor", "_rebuild_from_type_v2",
      [
        Pickle.global("os", "system"), Pickle.global("torch", "Tensor"), op(")"), Pickle.none,
      ]), .unsupported, says: "os.system"),
  tensor(
    "parameter of nothing",
    Pickle.call(
      "torch._utils", "_rebuild_parameter",
      [
        Pickle.none, Pickle.none, Pickle.none,
      ])),
  tensor(
    "parameter of itself",
    Pickle.global("torch._utils", "_rebuild_parameter") + op("]q\u{01}NN") + [0x87] + Pickle.reduce),
  tensor(
    "eight parameters deep",
    (0..<9).reduce(Pickle.tensor()) { inner, _ in
      Pickle.call("torch._utils", "_rebuild_parameter", [inner, Pickle.none, Pickle.none])
    }, says: "without end"),
]

/// The stream of before PyTorch 1.6, sound unless a part says otherwise.
private func stream(
  _ name: String, magic: [UInt8] = streamMagic, version: [UInt8] = Pickle.integer(1001),
  system: [UInt8] = op("}"), object: [UInt8] = stateDict(),
  keys: [UInt8] = op("](") + Pickle.string("0") + op("e"),
  storages: [UInt8] = little(Int64(4)) + [UInt8](repeating: 0, count: 16),
  _ kind: CheckpointError.Kind = .malformed, says: String = ""
) -> HostileFile {
  let pickles = [version, system].flatMap { $0 + Pickle.stop }
  return HostileFile(
    name, magic + pickles + object + keys + Pickle.stop + storages, kind, says: says)
}

private let streamMagic: [UInt8] = [
  0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
]

private func view(_ part: [[UInt8]], count: Int32 = 4) -> [UInt8] {
  stateDict(
    Pickle.tensor(
      storage: Pickle.tuple([
        Pickle.string("storage"), typed, Pickle.string("0"), Pickle.string("cpu"),
        Pickle.integer(count), Pickle.tuple(part),
      ]) + op("Q"), shape: [2]))
}

private let streams: [HostileFile] = [
  .init("stream of its magic number", streamMagic + [UInt8](repeating: 0, count: 64)),
  stream("another version", version: Pickle.integer(7), says: "1001"),
  stream("version as text", version: Pickle.string("1001")),
  stream("machine as a list", system: op("]")),
  stream("keys as a dictionary", keys: op("}")),
  stream("key that is no text", keys: op("](") + Pickle.integer(0) + op("e")),
  stream("key of no storage", keys: op("](") + Pickle.string("1") + op("e"), says: "\"1\""),
  stream("key twice", keys: op("](") + Pickle.string("0") + Pickle.string("0") + op("e")),
  stream("no keys", keys: op("]"), .missing),
  stream(
    "count lies", storages: little(Int64(5)) + [UInt8](repeating: 0, count: 20), says: "5 elements"),
  stream("negative count", storages: little(Int64(-4))),
  stream("no count", storages: [1, 2], .truncated),
  stream("half a storage", storages: little(Int64(4)) + [0, 0, 0], .truncated),
  stream(
    "storage of 2^31 elements",
    object: stateDict(Pickle.tensor(storage: Pickle.storage(count: .max))),
    storages: little(Int64(Int32.max)), .truncated),
  stream(
    "storage of a class that says nothing",
    object: stateDict(
      Pickle.tensor(storage: Pickle.storage(type: Pickle.global("os", "FloatStorage"))))),
  stream(
    "code in place of the object", object: Pickle.call("os", "system", []) + Pickle.stop,
    keys: op("]"),
    .unsupported, says: "os.system"),
  stream(
    "part beyond its storage",
    object: view([Pickle.string("1"), Pickle.integer(3), Pickle.integer(2)]), says: "storage"),
  stream(
    "part with a negative start",
    object: view([Pickle.string("1"), Pickle.integer(-1), Pickle.integer(2)])),
  stream("part of two", object: view([Pickle.string("1"), Pickle.integer(0)])),
  stream(
    "view beyond its part",
    object: view([Pickle.string("1"), Pickle.integer(2), Pickle.integer(1)]), says: "storage of 1"),
]

private func array(
  dtype: [UInt8] = Pickle.call("numpy", "dtype", [Pickle.string("f4")]), shape: [Int32] = [2],
  data: [UInt8] = op("C") + [8] + [UInt8](repeating: 0, count: 8), order: [UInt8] = [0x89]
) -> [UInt8] {
  Pickle.call(
    "numpy.core.multiarray", "_reconstruct",
    [Pickle.global("numpy", "ndarray"), Pickle.integers([0]), op("C") + [1, 0x62]])
    + Pickle.tuple([Pickle.integer(1), Pickle.integers(shape), dtype, order, data]) + op("b")
}

private let arrays: [HostileFile] = [
  tensor("array of fewer bytes", array(shape: [3]), says: "8 bytes"),
  tensor("array of more bytes", array(shape: [1]), says: "4 for the shape"),
  tensor("array of 2^62 elements", array(shape: [.max, .max])),
  tensor("array beyond 64 bits", array(shape: [.max, .max, .max]), says: "fits 64 bits"),
  tensor(
    "array of text beyond Latin 1",
    array(data: Pickle.string("\u{151}\u{151}\u{151}\u{151}\u{151}\u{151}\u{151}\u{151}"))),
  tensor("array of a number", array(data: Pickle.integer(8)), says: "an integer"),
  .init(
    "array of objects alone",
    torchArchive(stateDict(array(dtype: Pickle.call("numpy", "dtype", [Pickle.string("O8")])))),
    .unsupported),
  .init("array of a negative extent", torchArchive(stateDict(array(shape: [-2]))), .unsupported),
  .init(
    "sklearn", [0x80, 4] + Pickle.call("sklearn.svm._classes", "SVC", []) + Pickle.stop,
    .unsupported, says: "scikit-learn"),
  .init("a list in a pickle", [0x80, 4] + op("]."), .unsupported),
]

@Suite struct TorchHostileTests {
  @Test(arguments: streams)
  func streamIsRefused(_ file: HostileFile) { file.expectRefusal(extension: "pth") }

  @Test(arguments: arrays)
  func arrayIsRefused(_ file: HostileFile) { file.expectRefusal(extension: "pkl") }

  @Test func everyTruncationOfAStreamIsRefused() throws {
    let folder = Scratch()
    let whole = try contents(fixture("legacy_training.pth"))
    for length in 0..<whole.count {
      let path = folder.write(Array(whole[..<length]), as: "short.pth")
      #expect(failure { try Checkpoint.check(path) } != nil, "accepted \(length) bytes")
    }
  }

  /// A storage that is a part of another, as torch wrote before 0.4.
  @Test func partsOfStoragesOfAStreamAreRead() throws {
    let folder = Scratch()
    let file = stream(
      "part", object: view([Pickle.string("1"), Pickle.integer(1), Pickle.integer(3)]),
      storages: little(Int64(4)) + fixtureFloats.prefix(4).flatMap { little($0.bitPattern) })
    let checkpoint = try Checkpoint.open(folder.write(file.bytes, as: "part.pth"))
    #expect(try checkpoint["a"]?.floats() == Array(fixtureFloats[1...2]))
  }

  /// Entries are looked for in each dictionary once, however many refer to it and however they nest.
  @Test func dictionariesWithinEachOtherCostOnce() throws {
    let folder = Scratch()
    var bytes = op("}q\u{00}")
    for index in 0..<20_000 { bytes += Pickle.string("k\(index)") + op("h\u{00}s") }
    bytes += Pickle.string("a") + Pickle.tensor() + op("s")
    let path = folder.write(torchArchive(bytes + Pickle.stop), as: "nested.pth")
    let checkpoint = try Checkpoint.open(path)
    #expect(checkpoint.torch?.entries.count == 1)
    #expect(checkpoint.tensors.map(\.name) == ["a"])
  }

  /// The bytes of an array that many names share are copied once.
  @Test func arraysSharedManyTimesCostOnce() throws {
    let folder = Scratch()
    let many = 20_000
    let data = op("B") + little(UInt32(1 << 20)) + [UInt8](repeating: 0, count: 1 << 20)
    var bytes = op("}(") + Pickle.string("a") + array(shape: [1 << 18], data: data) + op("q\u{00}")
    for index in 0..<many { bytes += Pickle.string("\(index)") + op("h\u{00}") }
    let path = folder.write([0x80, 2] + bytes + op("u") + Pickle.stop, as: "shared.pkl")
    #expect(try Checkpoint.open(path).tensors.count == many + 1)
  }

  @Test(arguments: archives)
  func archiveIsRefused(_ file: HostileFile) { file.expectRefusal(extension: "pth") }

  @Test(arguments: pickles)
  func pickleIsRefused(_ file: HostileFile) { file.expectRefusal(extension: "pth") }

  @Test(arguments: tensors)
  func tensorIsRefused(_ file: HostileFile) { file.expectRefusal(extension: "pth") }

  @Test func everyWayToWriteAStateDictIsRead() throws {
    let folder = Scratch()
    let name = "S'a'\n"
    let ordered = Pickle.global("collections", "OrderedDict")
    let pair = Pickle.tuple([Pickle.string("a"), Pickle.tensor()])
    let storage = Pickle.storage()
    let view: [[UInt8]] = [
      storage, Pickle.integer(0), Pickle.integers([4]), Pickle.integers([1]),
    ]
    let rest: [[UInt8]] = [Pickle.none, Pickle.none]
    for bytes in [
      stateDict(),
      // Protocol 0: marks and lines
      op("(d" + name) + Pickle.tensor() + op("s."),
      op("(" + name) + Pickle.tensor() + op("d."),
      // Python 2: OrderedDict([["a", tensor]])
      ordered + op("(](") + pair + op("etR."),
      ordered + op(")R(") + Pickle.string("a") + Pickle.tensor() + op("u."),
      Pickle.call("collections", "defaultdict", [Pickle.none]) + op("(") + Pickle.string("a")
        + Pickle.tensor() + op("u."),
      // torch before 0.4, parameters, and subclasses
      stateDict(Pickle.call("torch._utils", "_rebuild_tensor", view)),
      stateDict(Pickle.call("torch._utils", "_rebuild_parameter", [Pickle.tensor()] + rest)),
      stateDict(
        Pickle.call(
          "torch._tensor", "_rebuild_from_type_v2",
          [
            Pickle.global("torch._utils", "_rebuild_tensor_v2"), Pickle.global("torch", "Tensor"),
            Pickle.tuple(view + rest), Pickle.none,
          ])),
      stateDict(
        Pickle.call(
          "torch._utils", "_rebuild_tensor_v3",
          [Pickle.storage(count: 16, type: Pickle.global("torch.storage", "UntypedStorage"))]
            + view.dropFirst() + rest + [Pickle.global("torch", "float32")])),
    ] {
      let path = folder.write(torchArchive(bytes), as: "sound.pth")
      let checkpoint = try Checkpoint.open(path)
      #expect(checkpoint.tensors.map(\.name) == ["a"])
      #expect(try checkpoint["a"]?.floats() == [0, 0, 0, 0])
    }
  }

  /// Small files that would take hours or all memory if shared values were walked once for each
  /// reference to them.
  @Test func valuesSharedManyTimesCostOnce() throws {
    let folder = Scratch()
    let many = 50_000
    let empty = op("]")
    let pairs = op("(") + (0..<many).flatMap { _ in op("NN") + [0x86] } + op("e")
    let ordered = Pickle.global("collections", "OrderedDict") + op("q\u{01}")
    var copies = empty + pairs + op("q\u{00}") + ordered
    for _ in 0..<many { copies += op("h\u{01}h\u{00}") + [0x85] + op("R0") }
    let path = folder.write(torchArchive(copies + Pickle.stop), as: "copies.pth")
    #expect(failure { try Checkpoint.check(path) }?.kind == .limitExceeded)

    let inner = op("}(") + (0..<many).flatMap { _ in Pickle.none + Pickle.none } + op("u")
    var outer = op("}(") + Pickle.string("a") + Pickle.tensor() + Pickle.string("x") + inner
    outer += op("q\u{00}")
    for index in 0..<many { outer += Pickle.string("\(index)") + op("h\u{00}") }
    let shared = folder.write(torchArchive(outer + op("u") + Pickle.stop), as: "shared.pth")
    #expect(try Checkpoint.open(shared).torch?.skipped.count == many + 1)
  }

  @Test func bigEndianStoragesAreSwapped() throws {
    let folder = Scratch()
    let values = fixtureFloats.prefix(4)
    let bytes = torchArchive(
      stateDict(),
      storages: ["0": values.flatMap { Array(little($0.bitPattern).reversed()) }]
    ) { $0.members.append(.init("archive/byteorder", Array("big".utf8))) }
    let checkpoint = try Checkpoint.open(folder.write(bytes, as: "big.pth"))
    #expect(try checkpoint["a"]?.floats() == Array(values))
  }

  @Test func integersOfAllWidthsAreData() throws {
    let folder = Scratch()
    let long = [0x8A, 255] + [UInt8](repeating: 0x7F, count: 255)
    let numbers: [(String, [UInt8], String?)] = [
      ("huge", long, nil), ("none", [0x8A, 0], "0"), ("minus", [0x8A, 1, 0xFF], "-1"),
      ("wide", [0x8A, 3, 0, 0, 1], "65536"), ("line", op("L42L\n"), "42"),
      ("true", op("I01\n"), "true"),
      ("float", op("G") + [0x3F, 0xE0, 0, 0, 0, 0, 0, 0], "0.5"), ("text", op("F0.25\n"), "0.25"),
      ("short", op("M") + [1, 2], "513"),
    ]
    let bytes = Pickle.dictionary(
      numbers.map { (Pickle.string($0.0), $0.1) } + [(Pickle.string("a"), Pickle.tensor())])
    let path = folder.write(torchArchive(bytes + Pickle.stop), as: "numbers.pth")
    let checkpoint = try Checkpoint.open(path)
    for (name, _, text) in numbers { #expect(checkpoint.metadata[name] == text, "\(name)") }
    #expect(checkpoint.torch?.skipped.map(\.name) == numbers.map(\.0))
  }

  @Test func everyTruncationIsRefused() throws {
    let folder = Scratch()
    let whole = try contents(fixture("protocol2.pth"))
    for length in 0..<whole.count {
      let path = folder.write(Array(whole[..<length]), as: "short.pth")
      #expect(failure { try Checkpoint.check(path) } != nil, "accepted \(length) bytes")
    }
    // The pickle cut short within a sound archive.
    let pickle = stateDict()
    for length in 0..<pickle.count {
      let path = folder.write(torchArchive(Array(pickle[..<length])), as: "short.pth")
      #expect(failure { try Checkpoint.check(path) } != nil, "accepted \(length) bytes")
    }
  }
}
