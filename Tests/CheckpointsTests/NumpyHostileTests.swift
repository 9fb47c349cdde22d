import TestSupport
import Testing

@testable import Checkpoints

private let arrays: [HostileFile] = [
  .init("bad signature", [0x94] + npy(npyHeader(), data: 8).dropFirst(), .unsupported),
  .init("signature alone", [0x93] + "NUMPY".utf8, .truncated),
  .init("no length", [0x93] + "NUMPY".utf8 + [2, 0, 1, 0], .truncated),
  .init("version 0", npy(npyHeader(), data: 8, version: 0), .unsupported),
  .init("version 4", npy(npyHeader(), data: 8, version: 4), .unsupported),
  .init("header beyond the file", Array(npy(npyHeader())[..<40]), .truncated),
  .init(
    "header of 4 GB", [0x93] + "NUMPY".utf8 + [2, 0, 255, 255, 255, 255, 0x0A], .limitExceeded),
  .init(
    "header over NumPy's cap", npy(npyHeader() + String(repeating: " ", count: 10_000), data: 8),
    .limitExceeded),
  .init(
    "no line end",
    {
      var bytes = npy(npyHeader(), data: 8)
      bytes[bytes.count - 9] = 0x20
      return bytes
    }(), says: "line end"),
  .init("empty header", [0x93] + "NUMPY".utf8 + [1, 0, 0, 0], .malformed),
  .init("a call", npy("dict(descr='<f4', fortran_order=False, shape=(2,))", data: 8)),
  .init("a nested call", npy(npyHeader("tuple([2])"), data: 8)),
  .init("an import", npy(npyHeader("__import__('os').system('true')"), data: 8)),
  .init("a sum", npy(npyHeader("(1+1,)"), data: 8)),
  .init("text after the header", npy(npyHeader() + " + 1", data: 8)),
  .init(
    "key twice",
    npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}", data: 8),
    says: "descr"),
  .init(
    "extra key", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 1}", data: 8),
    says: "x"),
  .init("missing key", npy("{'descr': '<f4', 'shape': (2,)}", data: 8)),
  .init("a number in parentheses", npy(npyHeader("(2)"), data: 8), says: "tuple"),
  .init("a list as shape", npy(npyHeader("[2]"), data: 8)),
  .init("negative extent", npy(npyHeader("(-2,)"), data: 8)),
  .init("fractional extent", npy(npyHeader("(2.0,)"), data: 8)),
  .init("extent 2^63", npy(npyHeader("(9223372036854775808,)"), data: 8)),
  .init("product wraps to 0", npy(npyHeader("(4294967296, 4294967296)"))),
  .init("bytes wrap", npy(npyHeader("(4611686018427387906,)"), data: 8)),
  .init("0 times overflow", npy(npyHeader("(0, 4611686018427387904, 4)"))),
  .init(
    "100 axes", npy(npyHeader("(" + String(repeating: "1,", count: 100) + ")"), data: 4),
    .limitExceeded),
  .init("order as a number", npy(npyHeader(order: "0"), data: 8)),
  .init("order in lower case", npy(npyHeader(order: "false"), data: 8)),
  .init("objects", npy(npyHeader(descr: "'|O'"), data: 16), .unsupported, says: "code"),
  .init("text", npy(npyHeader(descr: "'<U3'"), data: 24), .unsupported, says: "text"),
  .init("bytes as text", npy(npyHeader(descr: "'|S3'"), data: 6), .unsupported),
  .init("records", npy(npyHeader(descr: "[('x', '<f4')]"), data: 8), .unsupported, says: "records"),
  .init("void", npy(npyHeader(descr: "'|V2'"), data: 4), .unsupported, says: "bfloat16"),
  .init("complex", npy(npyHeader(descr: "'<c8'"), data: 16), .unsupported),
  .init("dates", npy(npyHeader(descr: "'<M8[ns]'"), data: 16), .unsupported),
  .init("long double", npy(npyHeader(descr: "'<f16'"), data: 32), .unsupported),
  .init("empty descr", npy(npyHeader(descr: "''"), data: 8), .unsupported),
  .init("descr with an escape", npy(npyHeader(descr: "'\\x3cf4'"), data: 8)),
  .init("descr without end", npy("{'descr': '<f4", data: 8)),
  .init("data too short", npy(npyHeader(), data: 7), .truncated, says: "7 bytes"),
  .init("data too long", npy(npyHeader(), data: 9), .malformed, says: "9 bytes"),
  .init("truth value 255", Array(npy(npyHeader(descr: "'|b1'"), data: 1)) + [255], says: "truth"),
]

private let array = npy(npyHeader(), data: 8)

private func member(_ change: (inout ZipBuilder.Member) -> Void) -> [UInt8] {
  var member = ZipBuilder.Member("a.npy", array)
  change(&member)
  return ZipBuilder([member]).bytes()
}

private func archive(_ change: (inout ZipBuilder) -> Void) -> [UInt8] {
  var builder = ZipBuilder([.init("a.npy", array)])
  change(&builder)
  return builder.bytes()
}

private func compressed(_ change: (inout ZipBuilder.Member) -> Void) -> [UInt8] {
  member {
    $0.data = deflated(array)
    $0.method = 8
    $0.inflatedSize = array.count
    $0.checksum = array.withUnsafeBytes { CRC32.checksum($0) }
    change(&$0)
  }
}

private func zip64(_ values: [UInt64]) -> [UInt8] {
  little(UInt16(1)) + little(UInt16(values.count * 8)) + values.flatMap { little($0) }
}

private let archives: [HostileFile] = [
  // End record
  .init("cut short", Array(archive { _ in }.dropLast(1)), .truncated),
  .init(
    "70000 bytes after the end", archive { _ in } + [UInt8](repeating: 0, count: 70_000),
    .truncated, says: "no end record"),
  .init(
    "comment with a fake end record",
    archive {
      $0.comment = little(UInt32(0x0605_4B50)) + [UInt8](repeating: 0, count: 18)
    }),
  .init("several disks", archive { $0.disk = 1 }),
  .init("count too high", archive { $0.count = 2 }),
  .init("count too low", archive { $0.count = 0 }),
  .init("directory outside", archive { $0.directoryOffset = 0x7FFF_FFFF }),
  .init("directory size lies", archive { $0.directorySize = 10 }),
  .init("zip64 promised, absent", archive { $0.directoryOffset = .max }),
  .init("bytes before the first member", archive { $0.start = Array("PK\u{03}\u{04}".utf8) }),
  .init("bytes before the directory", archive { $0.beforeDirectory = [1, 2, 3] }),

  // Directory and local headers
  .init("duplicate names", archive { $0.members.append($0.members[0]) }, says: "a.npy"),
  .init("name ../", archive { $0.members[0].name = "../a.npy" }),
  .init("name within ../", archive { $0.members[0].name = "x/../../a.npy" }),
  .init("absolute name", archive { $0.members[0].name = "/etc/a.npy" }),
  .init("backslash", archive { $0.members[0].name = "..\\a.npy" }),
  .init("NUL in the name", archive { $0.members[0].name = "a\0.npy" }),
  .init("empty name", archive { $0.members[0].name = "" }),
  .init("encrypted", member { $0.flags = 1 }, .unsupported, says: "encrypted"),
  .init("strongly encrypted", member { $0.flags = 0x41 }, .unsupported),
  .init("masked", member { $0.flags = 0x2000 }, .unsupported),
  .init("patched data", member { $0.flags = 0x20 }, .unsupported),
  .init("method bzip2", member { $0.method = 12 }, .unsupported),
  .init("local name differs", member { $0.localName = "b.npy" }, says: "differs"),
  .init("local method differs", member { $0.localMethod = 8 }, says: "differs"),
  .init("local flags differ", member { $0.localFlags = 0x0800 }, says: "differs"),
  .init("local size differs", member { $0.localSize = 1 }, says: "differs"),
  .init("local compressed size differs", member { $0.localCompressedSize = 1 }, says: "differs"),
  .init("local checksum differs", member { $0.localChecksum = 1 }, says: "differs"),
  .init("no local header", member { $0.offset = 4 }),
  .init("member beyond the file", member { $0.offset = 0x7000_0000 }),
  .init(
    "size beyond the file",
    member {
      $0.size = 0x7000_0000; $0.compressedSize = 0x7000_0000
    }),
  .init("stored with two sizes", member { $0.size = 1 }),
  .init(
    "zip64 promised, no field",
    member {
      $0.size = .max; $0.compressedSize = .max
    }),
  .init(
    "zip64 field too short",
    member {
      $0.size = .max
      $0.extra = little(UInt16(1)) + little(UInt16(4)) + little(UInt32(1))
      $0.localExtra = $0.extra
    }),
  .init(
    "zip64 size of 2^63",
    member {
      $0.size = .max
      $0.compressedSize = .max
      $0.extra = zip64([1 << 63, 1 << 63])
      $0.localExtra = $0.extra
    }),
  .init("zip64 fields twice", member { $0.extra = zip64([1]) + zip64([2]) }),
  .init(
    "zip64 local differs",
    member {
      $0.size = .max
      $0.compressedSize = .max
      $0.extra = zip64([UInt64(array.count), UInt64(array.count)])
      $0.localExtra = zip64([1, 1])
    }),
  .init("broken extra field", member { $0.extra = [9, 0, 255, 0] }),
  .init(
    "overlapping members",
    {
      // The second directory entry refers to the data of the first.
      var builder = ZipBuilder([.init("a.npy", array), .init("b.npy", array)])
      builder.members[1].offset = 0
      return builder.bytes()
    }()),
  .init("descriptor flag, none there", member { $0.flags = 8 }, says: "descriptor"),
  .init(
    "descriptor lies",
    member {
      $0.flags = 8
      $0.descriptor =
        little(UInt32(0x0807_4B50)) + little(UInt32(1)) + little(UInt32(2))
        + little(UInt32(3))
    }, says: "descriptor"),

  // Data
  .init("wrong checksum", member { $0.checksum = 1 }, says: "CRC-32"),
  .init("wrong checksum, deflated", compressed { $0.checksum = 1 }, says: "CRC-32"),
  .init("damaged deflate", compressed { $0.data[0] = 7 }),
  .init("deflate stops early", compressed { $0.data.removeLast(4) }),
  .init("bytes after the deflate", compressed { $0.data += [0, 0] }),
  .init("inflates to less", compressed { $0.inflatedSize = array.count + 4 }),
  .init("inflates to more", compressed { $0.inflatedSize = array.count - 4 }),
  .init("ratio beyond deflate", compressed { $0.size = 0x7000_0000 }, .limitExceeded),
  .init(
    "bomb",
    {
      var member = ZipBuilder.Member(
        "a.npy", deflated(array + [UInt8](repeating: 0, count: 1 << 20)))
      member.method = 8
      member.inflatedSize = array.count
      return ZipBuilder([member]).bytes()
    }(), says: "more data"),
  .init("not an array", archive { $0.members.append(.init("readme.txt", [1])) }),
  .init("an array cut short", archive { $0.members[0].data.removeLast() }, .truncated),
  .init("an archive in an archive", archive { $0.members[0].data = ZipBuilder([]).bytes() }),
  .init("no array at all", ZipBuilder([.init("readme.txt", [1])]).bytes(), .unsupported),
]

@Suite struct NumpyHostileTests {
  @Test(arguments: arrays)
  func arrayIsRefused(_ file: HostileFile) { file.expectRefusal(extension: "npy") }

  @Test(arguments: archives)
  func archiveIsRefused(_ file: HostileFile) { file.expectRefusal(extension: "npz") }

  @Test func whatTheFormatsAllowIsAccepted() throws {
    let folder = Scratch()
    let descriptor = array.withUnsafeBytes { CRC32.checksum($0) }
    for bytes in [
      archive { _ in }, compressed { _ in }, ZipBuilder([]).bytes(),
      member {
        $0.flags = 8
        $0.descriptor =
          little(UInt32(0x0807_4B50)) + little(descriptor)
          + little(UInt32(array.count)) + little(UInt32(array.count))
      },
      // Without signature; with 64-bit sizes; as a stream writes them, sizes unknown at first
      member {
        $0.flags = 8
        $0.descriptor =
          little(descriptor) + little(UInt32(array.count)) + little(UInt32(array.count))
      },
      member {
        $0.flags = 8
        $0.descriptor =
          little(UInt32(0x0807_4B50)) + little(descriptor)
          + little(UInt64(array.count)) + little(UInt64(array.count))
      },
      member {
        $0.flags = 8
        $0.localChecksum = 0
        $0.size = .max
        $0.compressedSize = .max
        $0.extra = zip64([UInt64(array.count), UInt64(array.count)])
        $0.localExtra = zip64([0, 0])
        $0.descriptor =
          little(UInt32(0x0807_4B50)) + little(descriptor)
          + little(UInt64(array.count)) + little(UInt64(array.count))
      },
      member {
        $0.size = .max
        $0.compressedSize = .max
        $0.extra = zip64([UInt64(array.count), UInt64(array.count)])
        $0.localExtra = $0.extra
      },
    ] {
      let path = folder.write(bytes, as: "sound.npz")
      let tensors = try Checkpoint.open(path).tensors
      for tensor in tensors { #expect(try tensor.floats() == [0, 0]) }
    }
    for header in [npyHeader("(2L,)"), npyHeader("(1, 2)"), npyHeader(descr: "\"<f4\"")] {
      let path = folder.write(npy(header, data: 8), as: "sound.npy")
      #expect(try NumpyArray.open(path).floats() == [0, 0])
    }
  }

  @Test func aBombIsMeasuredByWhatTheFileCanHold() throws {
    // Zeros compress 1000 to 1 and honestly say so.
    let folder = Scratch()
    let large = npy(npyHeader("(1000000,)"), data: 4_000_000)
    var member = ZipBuilder.Member("a.npy", deflated(large))
    member.method = 8
    member.inflatedSize = large.count
    member.checksum = large.withUnsafeBytes { CRC32.checksum($0) }
    let path = folder.write(ZipBuilder([member]).bytes(), as: "zeros.npz")
    #expect(try Checkpoint.open(path).tensors[0].floats().count == 1_000_000)
  }

  @Test(arguments: ["f4.npy", "stored.npz", "deflated.npz"])
  func everyTruncationIsRefused(name: String) throws {
    let folder = Scratch()
    let whole = try contents(fixture(name))
    for length in 0..<whole.count {
      let path = folder.write(Array(whole[..<length]), as: "short")
      #expect(failure { try Checkpoint.check(path) } != nil, "accepted \(length) bytes")
    }
  }
}
