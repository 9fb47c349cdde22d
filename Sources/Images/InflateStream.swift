import CZlib

/// Reads a gzip file from its beginning, decompressing as it goes.
struct InflateStream: ~Copyable {
  private let file: DataFile
  private var offset = 0
  private var input: [UInt8] = []
  private var used = 0
  private var ended = false
  // zlib keeps the address of its stream, which therefore must not move.
  private let stream: UnsafeMutablePointer<z_stream>

  init(_ file: DataFile) throws(ImageDataError) {
    self.file = file
    stream = .allocate(capacity: 1)
    stream.initialize(to: z_stream())
    // 15 bits of window, and 16 for the gzip wrapper.
    let status = inflateInit2_(stream, 31, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
    guard status == Z_OK else {
      stream.deallocate()
      throw ImageDataError(.tooLarge, file: file.name, found: "zlib cannot start (\(status))")
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  /// The next bytes: `count` of them, or fewer if the data ends.
  mutating func next(_ count: Int) throws(ImageDataError) -> [UInt8] {
    var result: [UInt8] = []
    while result.count < count && !ended {
      if used == input.count {
        input = try file.bytes(at: offset, upTo: 1 << 16)
        offset += input.count
        used = 0
        guard !input.isEmpty else {
          throw damaged("the file ends early, at byte \(offset)")
        }
      }
      // In pieces, so that memory grows with what is really there.
      let wanted = min(count - result.count, 1 << 20)
      var (status, taken) = (Z_OK, 0)
      let piece = [UInt8](unsafeUninitializedCapacity: wanted) { target, filled in
        input.withUnsafeMutableBufferPointer { source in
          guard let base = source.baseAddress else { return }
          stream.pointee.next_in = base + used
          stream.pointee.avail_in = UInt32(source.count - used)
          stream.pointee.next_out = target.baseAddress
          stream.pointee.avail_out = UInt32(wanted)
          status = inflate(stream, Z_NO_FLUSH)
          filled = wanted - Int(stream.pointee.avail_out)
          taken = source.count - used - Int(stream.pointee.avail_in)
        }
      }
      used += taken
      result += piece
      switch status {
      case Z_STREAM_END: try finishMember()
      case Z_OK, Z_BUF_ERROR: break
      default:
        let reason = stream.pointee.msg.map { String(cString: $0) } ?? "zlib error \(status)"
        throw damaged(reason)
      }
    }
    return result
  }

  /// After one gzip member another may follow; anything else is padding.
  private mutating func finishMember() throws(ImageDataError) {
    if input.count - used < 2 {
      let position = offset - (input.count - used)
      input = try file.bytes(at: position, upTo: 1 << 16)
      offset = position + input.count
      used = 0
    }
    if input.count - used >= 2, input[used] == 0x1F, input[used + 1] == 0x8B {
      inflateReset(stream)
    } else {
      ended = true
    }
  }

  private func damaged(_ reason: String) -> ImageDataError {
    ImageDataError(
      .damaged, file: file.name, found: "damaged gzip data: \(reason)",
      advice: "Fetch the file again")
  }
}
