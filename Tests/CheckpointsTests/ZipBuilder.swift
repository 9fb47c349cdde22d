import CZlib

@testable import Checkpoints

/// Builds ZIP archives byte by byte, sound or with any one thing wrong.
struct ZipBuilder {
  struct Member {
    var name: String
    var data: [UInt8]
    var method: UInt16 = 0
    var flags: UInt16 = 0
    /// What the headers say; nil for the truth.
    var checksum: UInt32?
    var size: UInt32?
    var compressedSize: UInt32?
    var offset: UInt32?
    var localName: String?
    var localMethod: UInt16?
    var localFlags: UInt16?
    var localChecksum: UInt32?
    var localSize: UInt32?
    var localCompressedSize: UInt32?
    var extra: [UInt8] = []
    var localExtra: [UInt8] = []
    /// Uncompressed size of deflated data.
    var inflatedSize: Int?
    var descriptor: [UInt8] = []

    init(_ name: String, _ data: [UInt8]) {
      self.name = name
      self.data = data
    }
  }

  var members: [Member]
  var comment: [UInt8] = []
  var beforeDirectory: [UInt8] = []
  var start: [UInt8] = []
  var directoryOffset: UInt32?
  var directorySize: UInt32?
  var count: UInt16?
  var disk: UInt16 = 0

  init(_ members: [Member]) { self.members = members }

  func bytes() -> [UInt8] {
    var result = start
    var directory: [UInt8] = []
    for member in members {
      let checksum = member.checksum ?? member.data.withUnsafeBytes { CRC32.checksum($0) }
      let size = member.size ?? UInt32(member.inflatedSize ?? member.data.count)
      let compressed = member.compressedSize ?? UInt32(member.data.count)
      let offset = UInt32(result.count)
      let localName = Array((member.localName ?? member.name).utf8)
      result += little(UInt32(0x0403_4B50)) + little(UInt16(20))
      result += little(member.localFlags ?? member.flags)
      result += little(member.localMethod ?? member.method) + little(UInt32(0))
      result += little(member.localChecksum ?? checksum)
      result += little(member.localCompressedSize ?? compressed)
      result += little(member.localSize ?? size)
      result += little(UInt16(localName.count)) + little(UInt16(member.localExtra.count))
      result += localName + member.localExtra + member.data + member.descriptor
      directory += little(UInt32(0x0201_4B50)) + little(UInt16(20)) + little(UInt16(20))
      directory += little(member.flags) + little(member.method) + little(UInt32(0))
      directory += little(checksum) + little(compressed) + little(size)
      directory += little(UInt16(member.name.utf8.count)) + little(UInt16(member.extra.count))
      directory += [UInt8](repeating: 0, count: 10) + little(member.offset ?? offset)
      directory += member.name.utf8 + member.extra
    }
    result += beforeDirectory
    let place = UInt32(result.count)
    result += directory
    result += little(UInt32(0x0605_4B50)) + little(disk) + little(disk)
    result += little(count ?? UInt16(members.count)) + little(count ?? UInt16(members.count))
    result += little(directorySize ?? UInt32(directory.count)) + little(directoryOffset ?? place)
    result += little(UInt16(comment.count)) + comment
    return result
  }
}

/// Raw deflate of `bytes`, for members with method 8.
func deflated(_ bytes: [UInt8]) -> [UInt8] {
  var stream = z_stream()
  deflateInit2_(
    &stream, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
    CInt(MemoryLayout<z_stream>.size))
  defer { deflateEnd(&stream) }
  var input = bytes
  var output = [UInt8](repeating: 0, count: bytes.count + 1024)
  let written = input.withUnsafeMutableBufferPointer { input in
    output.withUnsafeMutableBufferPointer { output in
      stream.next_in = input.baseAddress
      stream.avail_in = uInt(input.count)
      stream.next_out = output.baseAddress
      stream.avail_out = uInt(output.count)
      deflate(&stream, Z_FINISH)
      return output.count - Int(stream.avail_out)
    }
  }
  return Array(output[..<written])
}

/// A `.npy` file with the given header text, padded as NumPy does, and data.
func npy(_ header: String, data: Int = 0, version: UInt8 = 1) -> [UInt8] {
  let text = header + "\n"
  let length = version == 1 ? little(UInt16(text.utf8.count)) : little(UInt32(text.utf8.count))
  return [0x93] + "NUMPY".utf8 + [version, 0] + length + text.utf8
    + [UInt8](repeating: 0, count: data)
}

/// The usual header of a small array.
func npyHeader(_ shape: String = "(2,)", descr: String = "'<f4'", order: String = "False") -> String
{
  "{'descr': \(descr), 'fortran_order': \(order), 'shape': \(shape), }"
}
