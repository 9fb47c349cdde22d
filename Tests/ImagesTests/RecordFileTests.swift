import CZlib
import Glibc
import Testing

@testable import Images

/// An IDX file: sizes, then bytes.
private func idx(_ sizes: [Int], _ bytes: [UInt8]) -> [UInt8] {
  var file: [UInt8] = [0, 0, 8, UInt8(sizes.count)]
  for size in sizes { file += (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) } }
  return file + bytes
}

/// `bytes` as a gzip file.
private func gzip(_ bytes: [UInt8]) -> [UInt8] {
  var stream = z_stream()
  deflateInit2_(
    &stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
    CInt(MemoryLayout<z_stream>.size))
  defer { deflateEnd(&stream) }
  var input = bytes
  let capacity = Int(deflateBound(&stream, UInt(bytes.count)))
  return [UInt8](unsafeUninitializedCapacity: capacity) { output, filled in
    input.withUnsafeMutableBufferPointer { source in
      stream.next_in = source.baseAddress
      stream.avail_in = UInt32(source.count)
      stream.next_out = output.baseAddress
      stream.avail_out = UInt32(capacity)
      deflate(&stream, Z_FINISH)
    }
    filled = capacity - Int(stream.avail_out)
  }
}

@Suite struct IDXTests {
  static let images = idx([5, 2, 3], (0..<30).map { UInt8($0) })
  static let labels = idx([5], [4, 3, 2, 1, 0])

  @Test(arguments: [(false, false), (true, true), (true, false), (false, true)])
  func imagesAndLabels(_ packImages: Bool, _ packLabels: Bool) throws {
    let scratch = try ScratchFolder()
    let name = "t10k-images-idx3-ubyte" + (packImages ? ".gz" : "")
    try scratch.write(name, packImages ? gzip(Self.images) : Self.images)
    try scratch.write(
      "t10k-labels-idx1-ubyte" + (packLabels ? ".gz" : ""),
      packLabels ? gzip(Self.labels) : Self.labels)
    let data = try ImageDataSet.open(scratch.path + "/" + name)
    #expect(data.count == 5)
    #expect((0..<5).map(data.label) == [4, 3, 2, 1, 0])
    #expect(data.id(3) == "t10k-images-idx3-ubyte#3")
    let image = try data.decode(4)
    #expect([image.width, image.height, image.channels] == [3, 2, 1])
    #expect(image.pixels == .bytes([24, 25, 26, 27, 28, 29]))
    #expect(data.inputFiles.count == 2)
  }

  @Test func severalGzipMembers() throws {
    let scratch = try ScratchFolder()
    let bytes = gzip(Array(Self.images[..<20])) + gzip(Array(Self.images[20...])) + [0, 0]
    try scratch.write("a.gz", bytes)
    #expect(
      try ImageDataSet.open(scratch.path + "/a.gz").decode(0).pixels == .bytes([0, 1, 2, 3, 4, 5]))
  }

  @Test func withoutLabels() throws {
    let scratch = try ScratchFolder()
    try scratch.write("digits", Self.images)
    let data = try ImageDataSet.open(scratch.path + "/digits")
    #expect(data.label(0) == nil)
    try scratch.write("answers", Self.labels)
    let labeled = try ImageDataSet.open(
      scratch.path + "/digits", labels: scratch.path + "/answers")
    #expect(labeled.label(0) == 4)
  }

  @Test func anotherNumberOfLabels() throws {
    let scratch = try ScratchFolder()
    try scratch.write("x-images.idx3-ubyte", Self.images)
    try scratch.write("x-labels.idx1-ubyte", idx([4], [1, 2, 3, 4]))
    let error = errorOf { _ = try ImageDataSet.open(scratch.path + "/x-images.idx3-ubyte") }
    #expect(error?.kind == .mismatch)
    #expect(error?.found == "4 labels")
  }

  static let hostile: [[UInt8]] = [
    [], [0], [0, 0, 8], [0, 0, 8, 3], Array(images[..<15]), Array(images[..<16]),
    Array(images.dropLast()), images + [0], idx([0, 2, 3], []), idx([1, 0, 3], []),
    idx([0xFFFF_FFFF, 0xFFFF_FFFF, 0xFFFF_FFFF], [1, 2, 3]),
    idx([0xFFFF_FFFF, 1, 1], [1]), idx([1, 0xFFFF, 0xFFFF], [1]),
    [0, 0, 0x0D, 3] + images[4...], [0, 0, 8, 2] + images[4...], labels,
  ]

  @Test(arguments: hostile, [false, true])
  func hostileFiles(_ bytes: [UInt8], _ packed: Bool) throws {
    let scratch = try ScratchFolder()
    try scratch.write("a", packed ? gzip(bytes) : bytes)
    let error = errorOf { _ = try ImageDataSet.open(scratch.path + "/a") }
    #expect(error?.file.hasSuffix("/a") == true)
  }

  @Test func gzipCutAtEveryByteOrDamaged() throws {
    let scratch = try ScratchFolder()
    let whole = gzip(Self.images)
    for length in 0..<whole.count {
      try scratch.write("a", Array(whole[..<length]))
      #expect(errorOf { _ = try ImageDataSet.open(scratch.path + "/a") } != nil, "cut at \(length)")
    }
    var damaged = whole
    damaged[whole.count - 6] ^= 1
    try scratch.write("a", damaged)
    #expect(errorOf { _ = try ImageDataSet.open(scratch.path + "/a") }?.kind == .damaged)
  }

  @Test func aFileThatShrinks() throws {
    let scratch = try ScratchFolder()
    try scratch.write("a", Self.images)
    let data = try ImageDataSet.open(scratch.path + "/a")
    truncate(scratch.path + "/a", 20)
    #expect(errorOf { _ = try data.decode(4) }?.kind == .damaged)
  }
}

@Suite struct CIFARTests {
  private func record(_ labels: [UInt8]) -> [UInt8] {
    labels + (0..<3072).map { UInt8(truncatingIfNeeded: $0 % 251) }
  }

  @Test func ten() throws {
    let scratch = try ScratchFolder()
    try scratch.write("test_batch.bin", record([7]) + record([0]))
    try scratch.write(
      "batches.meta.txt", Array((0..<10).map { "class\($0)\n" }.joined().utf8) + [10])
    let data = try ImageDataSet.open(scratch.path + "/test_batch.bin")
    #expect(data.count == 2)
    #expect((0..<2).map(data.label) == [7, 0])
    #expect(data.classNames[7] == "class7")
    #expect(data.id(1) == "test_batch.bin#1")
    let image = try data.decode(1)
    #expect([image.width, image.height, image.channels] == [32, 32, 3])
    #expect(
      image.rgb[33 * 3..<33 * 3 + 3] == [33, UInt8((1024 + 33) % 251), UInt8((2048 + 33) % 251)])
  }

  @Test func hundred() throws {
    let scratch = try ScratchFolder()
    try scratch.write("test.bin", record([19, 99]) + record([0, 42]))
    let data = try ImageDataSet.open(scratch.path + "/test.bin")
    #expect((0..<2).map(data.label) == [99, 42])
    #expect(try data.decode(0).rgb[0] == 0)
  }

  @Test func hostileFiles() throws {
    let scratch = try ScratchFolder()
    let cases: [([UInt8], String)] = [
      (record([10]), "record 0, byte 0"),
      (record([3]) + record([200]), "record 1, byte 3073"),
      (record([20, 5]), "record 0, byte 0"),
      (record([19, 100]), "record 0, byte 1"),
      (Array(record([3]).dropLast()), "3072 bytes"),
      ([], ""),
    ]
    for (bytes, word) in cases {
      try scratch.write("a.bin", bytes)
      let error = errorOf { _ = try ImageDataSet.open(scratch.path + "/a.bin") }
      #expect(error?.kind == .damaged)
      #expect(word.isEmpty || error?.description.contains(word) == true)
    }
  }

  /// 3073 x 3074 bytes are whole records of both kinds: the labels decide.
  @Test func aSizeThatSuitsBoth() throws {
    let scratch = try ScratchFolder()
    let one = record([19, 99])
    try scratch.write("a.bin", [UInt8]((0..<3073).map { _ in one }.joined()))
    let data = try CIFARImages(scratch.path + "/a.bin")
    #expect(data.variant == .hundred)
    #expect(data.count == 3073)
  }

  @Test func theOtherVersionsAreNamed() throws {
    let scratch = try ScratchFolder()
    var tar = [UInt8](repeating: 0, count: 1024)
    tar.replaceSubrange(257..<262, with: Array("ustar".utf8))
    let cases: [([UInt8], String)] = [
      ([0x80, 2, 0x7D, 0x71, 1], "pickle"), (tar, "tar archive"), (gzip(tar), "tar archive"),
      (gzip([1, 2, 3]), "gzip data"),
    ]
    for (bytes, word) in cases {
      try scratch.write("a", bytes)
      let error = errorOf { _ = try ImageDataSet.open(scratch.path + "/a") }
      #expect(error?.kind == .unsupported)
      #expect(error?.found.contains(word) == true)
    }
  }
}

@Suite struct ArrayImagesTests {
  @Test func eightBits() throws {
    let bytes = (0..<24).map { UInt8($0) }
    let color = try ArrayImages(name: "a.npy", shape: [2, 2, 2, 3], element: .uint8, bytes: bytes)
    #expect(try color.decode(1, limits: ImageLimits()).pixels == .bytes(Array(bytes[12...])))
    #expect(color.id(1) == "a.npy#1")
    let grey = try ArrayImages(
      name: "a", shape: [4, 3, 2], element: .uint8, bytes: bytes, labels: [1, 2, 3, 4],
      ids: ["p", "q", "r", "s"])
    #expect(try grey.decode(3, limits: ImageLimits()).height == 3)
    #expect(grey.label(3) == 4)
    #expect(grey.id(0) == "p")
  }

  @Test func normalisedPlanes() throws {
    let values = (0..<12).map { Float($0) / 7 }
    let bytes = values.flatMap { v in
      (0..<4).map { UInt8(truncatingIfNeeded: v.bitPattern >> (8 * $0)) }
    }
    let images = try ArrayImages(name: "a", shape: [1, 3, 2, 2], element: .float32, bytes: bytes)
    let order = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    #expect(
      try images.decode(0, limits: ImageLimits()).pixels == .normalised(order.map { values[$0] }))
    var broken = bytes
    broken.replaceSubrange(4..<8, with: [0, 0, 0x80, 0x7F])
    let infinite = try ArrayImages(
      name: "a", shape: [1, 3, 2, 2], element: .float32, bytes: broken)
    #expect(errorOf { _ = try infinite.decode(0, limits: ImageLimits()) }?.kind == .damaged)
    // A look at the range passes over what cannot be read.
    #expect(infinite.rangeNote() == nil)
    let both = try ArrayImages(
      name: "a", shape: [2, 3, 2, 2], element: .float32, bytes: broken + bytes)
    #expect(both.rangeNote()?.contains("0...255") == true)
  }

  /// Normalised values have any number of channels; images of colours have none of other numbers.
  @Test func otherNumbersOfChannels() throws {
    let bytes = [UInt8](repeating: 0, count: 4 * 5 * 4)
    let images = try ArrayImages(name: "a", shape: [1, 5, 2, 2], element: .float32, bytes: bytes)
    let image = try images.decode(0, limits: ImageLimits())
    #expect(image.channels == 5)
    let five = [Float](repeating: 0.5, count: 5)
    let transform = ImageTransform(
      resize: .none, crop: nil, interpolation: .bicubic, mean: five, std: five)
    #expect(try transform(image).count == 20)
    let colours = DecodedImage(
      width: 2, height: 2, channels: 3, pixels: .bytes([UInt8](repeating: 0, count: 12)))
    let error = errorOf { _ = try transform(colours) }
    #expect(error?.kind == .mismatch)
    #expect(error?.description.contains("5 channels") == true)
    let last = errorOf {
      _ = try ArrayImages(name: "a", shape: [1, 5, 2, 3], element: .float32, bytes: bytes)
    }
    #expect(last?.advice == "Move the channels behind the images: a.transpose(0, 3, 1, 2)")
  }

  @Test(arguments: [
    [], [4], [2, 3], [2, 3, 4, 5], [2, 3, 4, 4], [0, 3, 3], [-1, 3, 3], [1, 1, 1, 1, 1],
    [1, .max, .max], [.max, 3, 3], [2, 2, 3, 2],
  ])
  func shapesThatAreNoImages(_ shape: [Int]) {
    #expect(
      errorOf {
        _ = try ArrayImages(
          name: "a", shape: shape, element: .uint8, bytes: Array(repeating: 0, count: 7))
      } != nil)
  }
}

@Suite struct LabelTests {
  private func source(_ count: Int) throws -> ArrayImages {
    try ArrayImages(
      name: "a", shape: [count, 1, 1], element: .uint8, bytes: Array(repeating: 0, count: count))
  }

  private func labels(_ text: String, count: Int = 3) throws -> LabelTable {
    let scratch = try ScratchFolder()
    try scratch.write("labels", Array(text.utf8))
    return try LabelTable(reading: scratch.path + "/labels", for: source(count))
  }

  @Test func oneALine() throws {
    #expect(try labels("5\n 0 \r\n\n7").labels == [5, 0, 7])
    let named = try labels("\u{FEFF}dog\ncat\ndog\n")
    #expect(named.labels == [1, 0, 1])
    #expect(named.classNames == ["cat", "dog"])
  }

  @Test func table() throws {
    #expect(try labels("id,label\na#2,7\na#0,5\na#1,6\nother,9\n").labels == [5, 6, 7])
    #expect(try labels("\"a#0\",\"x, \"\"y\"\"\"\na#1,z\na#2,z\n").classNames == ["x, \"y\"", "z"])
  }

  @Test(arguments: [
    "1\n2", "1\n2\n3\n4", "", "1\n0.5\n3", "1\n1e300\n3", "a#0,1\na#1,\na#2,1", "a#0,1\na#1,2",
    "a#0,1\na#0,2\na#1,1\na#2,1",
    "a#0,1,2\n", "1\n2\n99999999999999999",
  ])
  func hostileText(_ text: String) {
    #expect(errorOf { _ = try labels(text) } != nil)
  }

  /// A negative number is no label, beside numbers and beside names.
  @Test func negativeNumbersAreNoLabels() throws {
    #expect(try labels("5\n-1\n-100\n").labels == [5, nil, nil])
    #expect(try labels("2.000e+00\n-1.0\n0").labels == [2, nil, 0])
    let named = try labels("a#0,dog\na#1,-1\na#2,cat\n")
    #expect(named.labels == [1, nil, 0])
    #expect(named.classNames == ["cat", "dog"])
    #expect(LabelTable([3, -1, nil]).labels == [3, nil, nil])
    let data = try ImageDataSet(source(3), name: "s", labels: LabelTable([3, -1, nil]))
    #expect(
      data.notes.first?.contains("2 of 3 images of s have no label (the first is a#1)") == true)
    #expect(data.subset(limit: 1).notes.isEmpty)
  }

  @Test func arraysOfLabels() throws {
    func table(_ values: [Float], _ shape: [Int], count: Int = 3) throws -> LabelTable {
      try LabelTable(values, shape: shape, count: count, file: "l.npy")
    }
    #expect(try table([4, -1, 0], [3]).labels == [4, nil, 0])
    for shape in [[3, 1], [1, 3], [3, 1, 1]] {
      let squeezed = try table([4, -1, 0], shape)
      #expect(squeezed.labels == [4, nil, 0])
      #expect(squeezed.notes.first?.contains("squeezed") == true)
    }
    let oneHot = try table([0, 1, 0, 0, 0, 1], [2, 3], count: 2)
    #expect(oneHot.labels == [1, 2])
    #expect(oneHot.notes.first?.contains("one-hot") == true)
    #expect(try table([0, 0, 1], [1, 3], count: 1).labels == [2])
    let wrong: [([Float], [Int], String)] = [
      ([1, 2], [2], "2 labels"), ([1, 2, 3, 4], [4], "4 labels"),
      ([1, 2, 3, 4], [4, 1], "[4, 1]"),
      ([1, 0.5, 0], [3], "0.5"), ([1, .nan, 0], [3], "nan"), ([1, 3e9, 0], [3], "3e+09"),
      ([1, 1, 0, 1, 1, 0], [3, 2], "row 0"), ([0, 1, 0, 0, 1, 0], [3, 2], "row 1"),
      ([0.5, 0.5, 0, 1, 1, 0], [3, 2], "row 0"), ([1, 0, 1, 0, 0, 1], [2, 3], "[2, 3]"),
      ([1, 0, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1], [3, 2, 2], "[3, 2, 2]"),
    ]
    for (values, shape, word) in wrong {
      let error = errorOf { _ = try table(values, shape) }
      #expect(
        error?.description.contains(word) == true, "\(shape): \(error?.description ?? "read")")
    }
  }

  @Test func bytesThatAreNotText() throws {
    let scratch = try ScratchFolder()
    try scratch.write("labels", [0x31, 0x0A, 0xFF, 0x0A, 0x31])
    let error = errorOf {
      _ = try LabelTable(reading: scratch.path + "/labels", for: source(3))
    }
    #expect(error?.place == "line 2")
  }

  /// Class names are numbered as the folder numbers them.
  @Test func namesOfAFolder() throws {
    let scratch = try ScratchFolder()
    let image = try Fixture.bytes("codecs/one-pixel.png")
    for name in ["data/ant/1.png", "data/bee/2.png"] { try scratch.write(name, image) }
    try scratch.write("labels.csv", Array("id,label\nant/1.png,bee\nbee/2.png,bee\n".utf8))
    let data = try ImageDataSet.open(
      scratch.path + "/data", labels: scratch.path + "/labels.csv")
    #expect((0..<2).map(data.label) == [1, 1])
    #expect(data.classNames == ["ant", "bee"])
    #expect(data.isLabelledByName)
    #expect(data.inputFiles.map(\.path).last == scratch.path + "/labels.csv")
    // Numbers are numbers, whatever folders are called.
    try scratch.write("labels.csv", Array("ant/1.png,7\nbee/2.png,-1\n".utf8))
    let numbered = try ImageDataSet.open(
      scratch.path + "/data", labels: scratch.path + "/labels.csv")
    #expect((0..<2).map(numbered.label) == [7, nil])
    #expect(numbered.classNames.isEmpty && !numbered.isLabelledByName)
    try scratch.write("labels.csv", Array("ant/1.png,bee\nbee/2.png,cow\n".utf8))
    let error = errorOf {
      _ = try ImageDataSet.open(scratch.path + "/data", labels: scratch.path + "/labels.csv")
    }
    #expect(error?.found == "\"cow\"")
  }
}
