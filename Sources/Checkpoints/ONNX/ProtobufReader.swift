/// The fields of one message of Protocol Buffers, in the order of the file, as numbers and as slices of the mapped
/// file: nothing is copied, and nothing nested is looked at before it is asked for.
struct ProtobufReader {
  /// The type of the message, for messages to people.
  let message: String
  private let file: MappedFile
  private let bytes: UnsafeRawBufferPointer
  private var position = 0

  /// Reads `bytes`, a part of `file`, which the caller keeps alive.
  init(_ message: String, _ bytes: UnsafeRawBufferPointer, of file: MappedFile) {
    (self.message, self.bytes, self.file) = (message, bytes, file)
  }

  /// The next field, or nil at the end of the message.
  mutating func next() throws(CheckpointError) -> ProtobufField? {
    guard position < bytes.count else { return nil }
    let start = position
    let key = try varint()
    let number = key >> 3
    guard (1..<1 << 29).contains(number) else {
      throw failure(start, "a field of number \(number)", "one from 1 on")
    }
    let value: ProtobufField.Value
    switch key & 7 {
    case 0: value = .integer(Int(truncatingIfNeeded: try varint()))
    case 1: value = .eight(try part(8))
    case 2:
      let place = position
      let length = try varint()
      guard length <= UInt64(bytes.count - position) else {
        throw CheckpointError(
          .truncated, file: file.path, place: "byte \(offset(place)) of the ONNX model",
          found: "field \(number) of \(message) with \(length) bytes",
          expected: "at most the \(bytes.count - position) that are left of the message",
          advice: "Copy or download the file again")
      }
      value = .bytes(try part(Int(length)))
    case 5: value = .four(try part(4))
    case let type: throw failure(start, "field \(number) of wire type \(type)", "0, 1, 2 or 5")
    }
    return ProtobufField(
      message: message, number: Int(number), value: value, file: file, offset: offset(start))
  }

  private mutating func varint() throws(CheckpointError) -> UInt64 {
    let start = position
    guard let value = bytes.varint(at: &position) else {
      throw failure(start, "a number without an end", "64 bits in at most ten bytes")
    }
    return value
  }

  private mutating func part(_ length: Int) throws(CheckpointError) -> UnsafeRawBufferPointer {
    guard let part = bytes.part(at: position, length: length) else {
      throw failure(position, "\(bytes.count - position) bytes", "\(length)")
    }
    position += length
    return part
  }

  private func offset(_ position: Int) -> Int { file.offset(of: bytes) + position }

  private func failure(_ position: Int, _ found: String, _ expected: String) -> CheckpointError {
    CheckpointError(
      .malformed, file: file.path,
      place: "byte \(offset(position)) of the ONNX model, in \(message)", found: found,
      expected: expected, advice: "Copy or download the file again")
  }
}

/// One field of a message.
struct ProtobufField {
  enum Value {
    case integer(Int)
    case four(UnsafeRawBufferPointer)
    case eight(UnsafeRawBufferPointer)
    case bytes(UnsafeRawBufferPointer)
  }

  let message: String
  let number: Int
  let value: Value
  let file: MappedFile
  /// Where it begins in the file.
  let offset: Int

  func integer() throws(CheckpointError) -> Int {
    guard case .integer(let value) = value else { throw wrong("a whole number") }
    return value
  }

  func float() throws(CheckpointError) -> Float {
    guard case .four(let bytes) = value, let bits = bytes.littleEndian(UInt32.self, at: 0) else {
      throw wrong("a number of 32 bits")
    }
    return Float(bitPattern: bits)
  }

  func bytes() throws(CheckpointError) -> UnsafeRawBufferPointer {
    guard case .bytes(let bytes) = value else { throw wrong("text, bytes or a message") }
    return bytes
  }

  func text() throws(CheckpointError) -> String {
    guard let text = try bytes().utf8Text else { throw wrong("text in UTF-8") }
    return text
  }

  func reader(_ message: String) throws(CheckpointError) -> ProtobufReader {
    ProtobufReader(message, try bytes(), of: file)
  }

  /// Adds the numbers of a repeated field: one, or several packed together.
  func appendIntegers(to list: inout [Int]) throws(CheckpointError) {
    guard case .bytes(let bytes) = value else { return list.append(try integer()) }
    var place = 0
    while place < bytes.count {
      guard let number = bytes.varint(at: &place) else { throw wrong("whole numbers") }
      list.append(Int(truncatingIfNeeded: number))
    }
  }

  /// Adds the numbers of a repeated field of singles: one, or several packed together.
  func appendFloats(to list: inout [Float]) throws(CheckpointError) {
    guard case .bytes(let bytes) = value else { return list.append(try float()) }
    guard bytes.count.isMultiple(of: 4) else { throw wrong("numbers of 32 bits") }
    for place in stride(from: 0, to: bytes.count, by: 4) {
      list.append(Float(bitPattern: bytes.littleEndian(UInt32.self, at: place) ?? 0))
    }
  }

  /// Of a field that this reading does not know: it may bear on numbers.
  var unknown: CheckpointError {
    CheckpointError(
      .unsupported, file: file.path, place: "byte \(offset) of the ONNX model",
      found: "field \(number) of \(message), which is not known")
  }

  func wrong(_ expected: String) -> CheckpointError {
    CheckpointError(
      .malformed, file: file.path, place: "byte \(offset) of the ONNX model",
      found: "field \(number) of \(message) of another kind", expected: expected,
      advice: "Copy or download the file again")
  }
}

extension UnsafeRawBufferPointer {
  /// A number in groups of seven bits, lowest first, and the place after it; nil for one without an end.
  fileprivate func varint(at position: inout Int) -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard position < count else { return nil }
      let byte = UInt64(self[position])
      position += 1
      value |= (byte & 0x7F) << shift
      if byte < 0x80 { return value }
    }
    return nil
  }
}

extension MappedFile {
  /// Where a part of the file begins in it.
  func offset(of part: UnsafeRawBufferPointer) -> Int {
    guard let start = part.baseAddress, let base = bytes.baseAddress else { return 0 }
    return start - base
  }
}
