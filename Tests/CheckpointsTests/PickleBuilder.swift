@testable import Checkpoints

/// Puts pickles together, operation by operation.
enum Pickle {
  static let stop = Array(".".utf8)
  static let mark = Array("(".utf8)
  static let emptyTuple = Array(")".utf8)
  static let reduce = Array("R".utf8)
  static let none = Array("N".utf8)

  static func integer(_ value: Int32) -> [UInt8] { Array("J".utf8) + little(value) }

  static func string(_ text: String) -> [UInt8] {
    Array("X".utf8) + little(UInt32(text.utf8.count)) + text.utf8
  }

  static func global(_ module: String, _ name: String) -> [UInt8] {
    Array("c\(module)\n\(name)\n".utf8)
  }

  static func tuple(_ items: [[UInt8]]) -> [UInt8] { mark + items.flatMap { $0 } + Array("t".utf8) }

  static func integers(_ values: [Int32]) -> [UInt8] { tuple(values.map(integer)) }

  static func call(_ module: String, _ name: String, _ arguments: [[UInt8]]) -> [UInt8] {
    global(module, name) + tuple(arguments) + reduce
  }

  static func dictionary(_ pairs: [([UInt8], [UInt8])]) -> [UInt8] {
    Array("}(".utf8) + pairs.flatMap { $0.0 + $0.1 } + Array("u".utf8)
  }

  static func storage(
    key: String = "0", count: Int32 = 4, type: [UInt8] = global("torch", "FloatStorage")
  ) -> [UInt8] {
    tuple([string("storage"), type, string(key), string("cpu"), integer(count)]) + Array("Q".utf8)
  }

  static func tensor(
    storage: [UInt8] = storage(), offset: Int32 = 0, shape: [Int32] = [4], strides: [Int32] = [1]
  ) -> [UInt8] {
    call(
      "torch._utils", "_rebuild_tensor_v2",
      [
        storage, integer(offset), integers(shape), integers(strides), Array([0x89]),
        call("collections", "OrderedDict", []),
      ])
  }
}

/// An archive as by `torch.save` around a pickle, with one storage of four singles, all 0.
func torchArchive(
  _ pickle: [UInt8], storages: [String: [UInt8]] = ["0": [UInt8](repeating: 0, count: 16)],
  change: (inout ZipBuilder) -> Void = { _ in }
) -> [UInt8] {
  var builder = ZipBuilder([.init("archive/data.pkl", pickle)])
  for (key, bytes) in storages.sorted(by: { $0.key < $1.key }) {
    builder.members.append(.init("archive/data/\(key)", bytes))
  }
  change(&builder)
  return builder.bytes()
}

/// The same with the storage compressed, once `count` zeros are unpacked.
func torchArchive(_ pickle: [UInt8], compressing count: Int) -> [UInt8] {
  let zeros = [UInt8](repeating: 0, count: count)
  return torchArchive(pickle) { builder in
    builder.members[1].data = deflated(zeros)
    builder.members[1].method = 8
    builder.members[1].inflatedSize = count
    builder.members[1].checksum = zeros.withUnsafeBytes { CRC32.checksum($0) }
  }
}

/// A state dict with one tensor "a".
func stateDict(_ tensor: [UInt8] = Pickle.tensor()) -> [UInt8] {
  [0x80, 2] + Pickle.dictionary([(Pickle.string("a"), tensor)]) + Pickle.stop
}
