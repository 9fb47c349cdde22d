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

  /// A file of arrays of values.
  private func write(
    _ arrays: [(name: String, dtype: ElementType, shape: [Int], bytes: [UInt8])], to path: String
  ) throws {
    var writer = try SafetensorsWriter(
      creating: path,
      tensors: arrays.map { .init(name: $0.name, dtype: $0.dtype, shape: $0.shape) })
    for (index, array) in arrays.enumerated() {
      try array.bytes.withUnsafeBytes { try writer.append($0, to: index) }
    }
    try writer.finish()
  }

  private func bytes<T>(_ values: [T]) -> [UInt8] { values.withUnsafeBytes { Array($0) } }

  /// Images of any floating type are values of the model; whole numbers are 8-bit samples.
  @Test func imagesOfEveryType() throws {
    let scratch = Scratch()
    let path = scratch.file("x.safetensors")
    let floats: [Float] = [-1.5, 0.25, 2, 3]
    let types: [(ElementType, [UInt8])] = [
      (.float64, bytes(floats.map(Double.init))), (.float32, bytes(floats)),
      (.bfloat16, bytes(floats.map { UInt16($0.bitPattern >> 16) })),
      (.float16, bytes([0xBE00, 0x3400, 0x4000, 0x4200] as [UInt16])),
    ]
    for (type, bytes) in types {
      try write([("x", type, [1, 1, 2, 2], bytes)], to: path)
      let images = try DataArgument(path: path).open()
      #expect(try images.decode(0).pixels == .normalised(floats), "\(type)")
      #expect(images.notes.isEmpty == (type == .float32), "\(type)")
    }
    let samples: [Int] = [0, 7, 128, 255, 1, 2]
    let whole: [(ElementType, [UInt8])] = [
      (.int64, bytes(samples)), (.int32, bytes(samples.map(Int32.init))),
      (.uint16, bytes(samples.map(UInt16.init))), (.uint8, samples.map(UInt8.init)),
    ]
    for (type, bytes) in whole {
      try write([("x", type, [2, 1, 1, 3], bytes)], to: path)
      let images = try DataArgument(path: path).open()
      #expect(try images.decode(1).pixels == .bytes([255, 1, 2]), "\(type)")
    }
    try write([("x", .int64, [2, 1, 1, 3], bytes([0, 7, 128, 255, 256, 2]))], to: path)
    let images = try DataArgument(path: path).open()
    #expect(try images.decode(0).width == 1)
    #expect(failure { _ = try images.decode(1) }?.message.contains("256") == true)
    try write([("x", .bool, [1, 1, 2, 2], [0, 1, 1, 0])], to: path)
    #expect(failure { _ = try DataArgument(path: path).open() }?.kind == .badData)
  }

  /// Values that look as if nobody had normalised them are noted.
  @Test func rangesThatAreNotNormalised() throws {
    let scratch = Scratch()
    let path = scratch.file("x.safetensors")
    func note(_ values: [Float]) throws -> String? {
      try write([("x", .float32, [values.count / 4, 1, 2, 2], bytes(values))], to: path)
      return try DataArgument(path: path).open().notes.first
    }
    #expect(try note([0, 0.5, 1, 0.25])?.contains("lie in 0...1,") == true)
    #expect(try note([0, 0.5, 1, 0.25, 9, 255, 0, 1])?.contains("lie in 0...255,") == true)
    #expect(try note([0, 0.5, 1, 0.25, -0.1, 0, 0, 1]) == nil)
    #expect(try note([0, 0.5, 1, 256]) == nil)
  }

  /// Labels beside images, and in files of arrays, in every shape; none is dropped without a word.
  @Test func labelsInArrays() throws {
    let scratch = Scratch()
    let (path, labels) = (scratch.file("x.safetensors"), scratch.file("l.safetensors"))
    let images: (String, ElementType, [Int], [UInt8]) = (
      "images", .uint8, [3, 2, 2], [UInt8](repeating: 1, count: 12)
    )
    func read(_ type: ElementType, _ shape: [Int], _ values: [UInt8]) throws -> [Int?] {
      try write([images, ("y", type, shape, values)], to: path)
      let carried = try DataArgument(path: path).open()
      try write([images], to: path)
      try write([("anything", type, shape, values)], to: labels)
      let given = try DataArgument(path: path, labels: labels).open()
      #expect((0..<3).map(given.label) == (0..<3).map(carried.label))
      #expect(given.inputFiles.map(\.path) == [path, labels])
      return (0..<3).map(carried.label)
    }
    #expect(try read(.int64, [3], bytes([2, -1, 0])) == [2, nil, 0])
    #expect(try read(.int32, [3, 1], bytes([2, -100, 0] as [Int32])) == [2, nil, 0])
    #expect(try read(.float32, [3], bytes([2, 1, 0] as [Float])) == [2, 1, 0])
    #expect(try read(.uint8, [3, 2], [0, 1, 1, 0, 0, 1]) == [1, 0, 1])
    for (type, shape, values) in [
      (.uint8, [2], [0, 1]), (.uint8, [4], [0, 1, 2, 3]), (.uint8, [3, 2], [0, 1, 1, 1, 0, 1]),
      (.float32, [3], bytes([0, 0.5, 1] as [Float])),
    ] as [(ElementType, [Int], [UInt8])] {
      #expect(failure { _ = try read(type, shape, values) }?.kind == .badData, "\(shape)")
    }
    try write([("a", .uint8, [3], [0, 1, 2]), ("b", .uint8, [3], [0, 1, 2])], to: labels)
    let error = failure { _ = try DataArgument(path: path, labels: labels).open() }
    #expect(error?.message.contains("called \"labels\"") == true)
  }
}
