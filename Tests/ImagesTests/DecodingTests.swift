import Testing

@testable import Images

@Suite struct DecodingTests {
  /// Every variant of every format against Pillow's `convert("RGB")`, bit for bit.
  @Test(arguments: ["codecs", "formats"])
  func equalsPillow(_ folder: String) throws {
    let cases = try Fixture.table("\(folder)/cases.txt")
    #expect(cases.count > 40)
    for row in cases {
      let image = try DecodedImage(decoding: Fixture.bytes("\(folder)/\(row[0])"), name: row[0])
      #expect([String(image.width), String(image.height)] == [row[1], row[2]], "\(row[0])")
      let expected = try Fixture.bytes("\(folder)/\(row[0]).rgb")
      #expect(largestDifference(image.rgb, expected) == 0, "\(row[0])")
    }
  }

  @Test(arguments: ["grey1.png", "grey16.png", "greyalpha16.png", "grey.jpg"])
  func greyKeepsOneChannel(_ name: String) throws {
    let image = try DecodedImage(decoding: Fixture.bytes("codecs/\(name)"), name: name)
    #expect(image.channels == 1)
  }

  @Test(arguments: [
    "codecs/grey16.png", "formats/grey16.tif", "formats/deep.pgm", "formats/largest1000.pgm",
  ])
  func sixteenBitGreyIsNoted(_ name: String) throws {
    let image = try DecodedImage(decoding: Fixture.bytes(name), name: "a")
    #expect(image.note?.contains("16-bit grey") == true)
    #expect(try DecodedImage(decoding: Fixture.bytes("codecs/rgb8.png"), name: "a").note == nil)
  }

  @Test(arguments: ["pages.tif", "animated.webp"])
  func furtherPagesAreNoted(_ name: String) throws {
    let image = try DecodedImage(decoding: Fixture.bytes("formats/\(name)"), name: name)
    #expect(image.note?.contains("the first is read") == true)
  }

  /// Legal, but with colours that are not defined here.
  @Test func exoticVariantsAreRefused() throws {
    for name in try Fixture.names("formats/refused") {
      let error = errorOf {
        _ = try DecodedImage(decoding: Fixture.bytes("formats/refused/\(name)"), name: name)
      }
      #expect(error?.kind == .unsupported, "\(name)")
    }
  }

  @Test func arithmeticCodingIsRefused() throws {
    let error = errorOf {
      _ = try DecodedImage(decoding: Fixture.bytes("codecs/arithmetic.jpg"), name: "a.jpg")
    }
    #expect(error?.kind == .unsupported)
    #expect(error?.description.contains("arithmetic") == true)
  }

  @Test func twelveBitsAreRefused() throws {
    var bytes = try Fixture.bytes("codecs/444.jpg")
    let frame = try #require(bytes.indices.first { bytes[$0...].starts(with: [0xFF, 0xC0]) })
    bytes[frame + 4] = 12
    let error = errorOf { _ = try DecodedImage(decoding: bytes, name: "a.jpg") }
    #expect(error?.description.contains("precision 12") == true)
  }

  @Test func repeatedScansAreRefused() throws {
    let bytes = try Fixture.bytes("codecs/progressive.jpg")
    let last = try #require(bytes.indices.last { bytes[$0...].starts(with: [0xFF, 0xDA]) })
    let scan = bytes[last..<(bytes.count - 2)]
    var bomb = bytes.dropLast(2)
    for _ in 0..<200 { bomb += scan }
    bomb += [0xFF, 0xD9]
    let error = errorOf { _ = try DecodedImage(decoding: Array(bomb), name: "a.jpg") }
    #expect(error?.kind == .tooLarge)
    #expect(error?.found.contains("scans") == true)
  }

  @Test(arguments: ["rgb8.png", "444.jpg"])
  func pixelLimitHoldsBeforeDecoding(_ name: String) throws {
    var limits = ImageLimits()
    limits.pixels = 37 * 29 - 1
    let bytes = try Fixture.bytes("codecs/\(name)")
    #expect(
      errorOf { _ = try DecodedImage(decoding: bytes, name: name, limits: limits) }?.kind
        == .tooLarge)
    limits.pixels += 1
    #expect(try DecodedImage(decoding: bytes, name: name, limits: limits).width == 37)
  }

  /// Headers that promise more than the file can hold are refused before pixels are allocated.
  @Test(arguments: [
    (0, 5), (5, 0), (1, 0x7FFF_FFFF), (0x7FFF_FFFF, 0x7FFF_FFFF), (0xFFFF_FFFF, 1),
    (13_000, 13_000),
  ])
  func dishonestPNGSizes(_ width: Int, _ height: Int) throws {
    var bytes = try Fixture.bytes("codecs/rgb8.png")
    for i in 0..<4 {
      bytes[16 + i] = UInt8(truncatingIfNeeded: width >> (24 - 8 * i))
      bytes[20 + i] = UInt8(truncatingIfNeeded: height >> (24 - 8 * i))
    }
    let sum = crc32(Array(bytes[12..<29]))
    for i in 0..<4 { bytes[29 + i] = UInt8(truncatingIfNeeded: sum >> UInt32(24 - 8 * i)) }
    #expect(errorOf { _ = try DecodedImage(decoding: bytes, name: "a.png") } != nil)
  }

  @Test(arguments: [(0, 5), (5, 0), (65_500, 2_700), (0xFFFF, 0xFFFF)])
  func dishonestJPEGSizes(_ width: Int, _ height: Int) throws {
    var bytes = try Fixture.bytes("codecs/444.jpg")
    let frame = try #require(bytes.indices.first { bytes[$0...].starts(with: [0xFF, 0xC0]) })
    bytes[frame + 5] = UInt8(height >> 8)
    bytes[frame + 6] = UInt8(height & 255)
    bytes[frame + 7] = UInt8(width >> 8)
    bytes[frame + 8] = UInt8(width & 255)
    #expect(errorOf { _ = try DecodedImage(decoding: bytes, name: "a.jpg") } != nil)
  }

  @Test(arguments: [
    "codecs/rgb8-interlaced.png", "codecs/palette4.png", "codecs/grey16.png",
    "codecs/one-pixel.png", "codecs/420.jpg", "codecs/progressive.jpg", "codecs/cmyk.jpg",
    "formats/palette4.bmp", "formats/rgb565.bmp", "formats/binary.ppm", "formats/rgb.tif",
    "formats/rgb-tiles-apart.tif", "formats/rgb-tiff_lzw.tif", "formats/lossy.webp",
    "formats/lossless-alpha.webp",
  ])
  func truncatedAtEveryByte(_ name: String) throws {
    let bytes = try Fixture.bytes(name)
    for length in 0..<bytes.count {
      let error = errorOf {
        _ = try DecodedImage(decoding: Array(bytes[..<length]), name: name)
      }
      #expect(error?.kind == .damaged, "\(name) cut at \(length)")
    }
  }

  @Test func checksumsAreVerified() throws {
    let bytes = try Fixture.bytes("codecs/rgb8.png")
    let start = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("IDAT".utf8)) })
    for position in [20, 30, start + 10, bytes.count - 14] {
      var damaged = bytes
      damaged[position] ^= 0x10
      let error = errorOf { _ = try DecodedImage(decoding: damaged, name: "a.png") }
      #expect(error?.kind == .damaged, "byte \(position)")
    }
  }

  /// Mutants of every fixture: each is decoded or refused, none crashes, and what is decoded has the
  /// size it claims.
  @Test func mutantsAreSurvived() throws {
    var numbers = SeededNumbers(20_24)
    var limits = ImageLimits()
    limits.pixels = 1 << 20
    var (decoded, refused) = (0, 0)
    let names =
      try Fixture.names("codecs").filter { $0.hasSuffix("g") }.map { "codecs/\($0)" }
      + Fixture.table("formats/cases.txt").map { "formats/\($0[0])" }
    for name in names {
      let bytes = try Fixture.bytes(name)
      for _ in 0..<120 {
        let mutant = mutate(bytes, &numbers)
        do {
          let image = try DecodedImage(decoding: mutant, name: name, limits: limits)
          #expect(image.rgb.count == 3 * image.width * image.height)
          decoded += 1
        } catch {
          #expect(!error.description.isEmpty)
          refused += 1
        }
      }
    }
    #expect(decoded > 500)
    #expect(refused > 2_000)
  }

  @Test func otherFormatsAreNamed() throws {
    let cases: [([UInt8], String)] = [
      ([], "empty"), (Array("GIF89a......".utf8), "GIF"), (Array("RIFF....WEBP".utf8), "WebP"),
      (Array("P7\nWIDTH 1".utf8), "PAM"), (Array("BM......".utf8), "BMP"),
      ([0x49, 0x49, 0x2A, 0, 8, 0], "TIFF"),
      ([1, 2, 3], "01 02 03"), ([0xFF, 0xD8], "signature"),
    ]
    for (bytes, word) in cases {
      let error = errorOf { _ = try DecodedImage(decoding: bytes, name: "x") }
      #expect(error?.found.contains(word) == true)
    }
  }
}

/// Flips, overwrites, deletes, repeats or moves a few bytes. Half of the PNG mutants get their
/// checksums repaired, so that the damage reaches beyond them.
private func mutate(_ bytes: [UInt8], _ numbers: inout SeededNumbers) -> [UInt8] {
  var mutant = bytes
  for _ in 0..<Int.random(in: 1...4, using: &numbers) {
    let at = Int.random(in: 0..<mutant.count, using: &numbers)
    let length = min(Int.random(in: 1...8, using: &numbers), mutant.count - at)
    switch Int.random(in: 0..<5, using: &numbers) {
    case 0: mutant[at] ^= 1 << UInt8.random(in: 0..<8, using: &numbers)
    case 1: mutant[at] = UInt8.random(in: .min ... .max, using: &numbers)
    case 2 where mutant.count > length: mutant.removeSubrange(at..<at + length)
    case 3: mutant.insert(contentsOf: mutant[at..<at + length], at: at)
    default: for i in at..<at + length { mutant[i] = 0xFF }
    }
  }
  return Bool.random(using: &numbers) ? repairChecksums(mutant) : mutant
}

private func repairChecksums(_ bytes: [UInt8]) -> [UInt8] {
  guard bytes.starts(with: [0x89, 0x50]) else { return bytes }
  var result = bytes
  var at = 8
  while at + 12 <= result.count {
    let length = result[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
    guard length <= result.count - at - 12 else { break }
    let sum = crc32(Array(result[at + 4..<at + 8 + length]))
    for i in 0..<4 {
      result[at + 8 + length + i] = UInt8(truncatingIfNeeded: sum >> UInt32(24 - 8 * i))
    }
    at += 12 + length
  }
  return result
}

private func crc32(_ bytes: [UInt8]) -> UInt32 {
  var sum = ~UInt32(0)
  for byte in bytes {
    sum ^= UInt32(byte)
    for _ in 0..<8 {
      let carry = sum & 1 == 1
      sum >>= 1
      if carry { sum ^= 0xEDB8_8320 }
    }
  }
  return ~sum
}
