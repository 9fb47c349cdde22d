/// The header of a `.npy` file, versions 1 to 3 (NumPy's `numpy.lib.format`): what the elements
/// are, how many and in which order.
///
/// NumPy evaluates the header as a Python literal; here only the one form that NumPy writes is
/// accepted, so nothing is ever evaluated.
struct NumpyHeader: Equatable {
  /// NumPy's own bound on a header that it reads without being told to trust it.
  static let maximumLength = 10_000
  static let maximumRank = 64

  var dtype: ElementType
  var isBigEndian: Bool
  var isFortranOrder: Bool
  var shape: [Int]
  /// Where the data start.
  var dataOffset: Int

  /// Parses the header at the start of `bytes`.
  ///
  /// - Parameter place: the member of an archive, for errors; empty for a plain file.
  init(_ bytes: UnsafeRawBufferPointer, file: String, place: String) throws(CheckpointError) {
    func failure(
      _ kind: CheckpointError.Kind, _ found: String, _ expected: String
    ) -> CheckpointError {
      CheckpointError(
        kind, file: file, place: place.isEmpty ? "npy header" : place, found: found,
        expected: expected)
    }
    guard Self.hasMagic(bytes) else {
      throw failure(
        bytes.count < 6 ? .truncated : .malformed, "no NumPy signature", "\"\\x93NUMPY\"")
    }
    guard bytes.count >= 10 else { throw failure(.truncated, "\(bytes.count) bytes", "a header") }
    let version = (bytes[6], bytes[7])
    guard (1...3).contains(version.0), version.1 == 0 else {
      throw failure(.unsupported, "version \(version.0).\(version.1)", "version 1.0, 2.0 or 3.0")
    }
    let start = version.0 == 1 ? 10 : 12
    let declared =
      version.0 == 1
      ? bytes.littleEndian(UInt16.self, at: 8).map(UInt32.init)
      : bytes.littleEndian(UInt32.self, at: 8)
    guard let declared else { throw failure(.truncated, "\(bytes.count) bytes", "a header") }
    guard declared <= UInt32(Self.maximumLength) else {
      throw failure(
        .limitExceeded, "a header of \(declared) bytes", "at most \(Self.maximumLength)")
    }
    guard let text = bytes.part(at: start, length: Int(declared)) else {
      throw failure(.truncated, "the file ends within its header", "\(declared) bytes of header")
    }
    guard text.last == 0x0A else {
      throw failure(.malformed, "a header without a line end", "a line end as its last byte")
    }
    var parser = NumpyHeaderParser(bytes: text, file: file, place: place)
    let fields = try parser.fields()
    (dtype, isBigEndian) = try Self.elementType(fields.descr, file: file, place: place)
    isFortranOrder = fields.isFortranOrder
    shape = fields.shape
    dataOffset = start + Int(declared)
    guard shape.count <= Self.maximumRank else {
      throw failure(.limitExceeded, "\(shape.count) axes", "at most \(Self.maximumRank)")
    }
    guard dtype.byteCount(shape: shape) != nil else {
      throw failure(.malformed, "the shape \(shape)", "a size that fits 64 bits")
    }
  }

  /// The header of an array that has none, as one within a pickle.
  init(dtype: ElementType, isBigEndian: Bool, isFortranOrder: Bool, shape: [Int]) {
    self.dtype = dtype
    self.isBigEndian = isBigEndian
    self.isFortranOrder = isFortranOrder
    self.shape = shape
    dataOffset = 0
  }

  static func hasMagic(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.count >= 6 && bytes[0] == 0x93 && bytes.holds("NUMPY", at: 1)
  }

  /// Bytes of the data.
  var byteCount: Int { dtype.byteCount(shape: shape) ?? 0 }

  /// The storage of the array whose file or member starts at `start` of `origin`.
  func storage(_ origin: TensorStorage.Origin) -> TensorStorage {
    var storage = TensorStorage(origin: origin, isBigEndian: isBigEndian && dtype.bits > 8)
    if isFortranOrder, shape.count > 1, !shape.contains(0) {
      var strides: [Int] = []
      var stride = 1
      for extent in shape {
        strides.append(stride)
        stride *= extent  // The product was checked.
      }
      storage.strides = strides
      storage.extent = byteCount
    }
    return storage
  }

  /// The type by NumPy's code without the order of bytes: `f4`.
  static func elementType(code: some StringProtocol) -> ElementType? {
    switch code {
    case "f2": .float16
    case "f4": .float32
    case "f8": .float64
    case "i1": .int8
    case "i2": .int16
    case "i4": .int32
    case "i8": .int64
    case "u1": .uint8
    case "u2": .uint16
    case "u4": .uint32
    case "u8": .uint64
    case "b1", "?": .bool
    default: nil
    }
  }

  private static func elementType(
    _ descr: String, file: String, place: String
  ) throws(CheckpointError) -> (ElementType, isBigEndian: Bool) {
    var code = Substring(descr)
    var isBigEndian = false
    if let order = code.first, "<>|=".contains(order) {
      isBigEndian = order == ">"
      code = code.dropFirst()
    }
    if let type = elementType(code: code) { return (type, isBigEndian) }
    let (name, advice) =
      switch code.first {
      case "O": ("Python objects", "Such data is code; save the array as numbers")
      case "U", "S", "a": ("text", "Save labels and names as integers")
      case "V": ("raw or structured records", "Save bfloat16 as float32, and each field by itself")
      case "c": ("complex numbers", "Save the real and the imaginary part apart")
      case "M", "m": ("dates", "Save them as numbers")
      default: ("elements of an unknown type", "Save the array as float32")
      }
    throw CheckpointError(
      .unsupported, file: file, place: place.isEmpty ? "npy header" : place,
      found: "\(name) (descr '\(descr)')",
      expected: "f2, f4, f8, i1 to i8, u1 to u8 or b1", advice: advice)
  }
}

/// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }` and nothing else.
struct NumpyHeaderParser {
  struct Fields {
    var descr: String
    var isFortranOrder: Bool
    var shape: [Int]
  }

  private let bytes: UnsafeRawBufferPointer
  private let file: String
  private let place: String
  private var position = 0

  init(bytes: UnsafeRawBufferPointer, file: String, place: String) {
    self.bytes = bytes
    self.file = file
    self.place = place
  }

  mutating func fields() throws(CheckpointError) -> Fields {
    var descr: String?
    var isFortranOrder: Bool?
    var shape: [Int]?
    try expect("{")
    while !take("}") {
      let key = try string()
      try expect(":")
      switch key {
      case "descr" where descr == nil:
        skipSpace()
        if position < bytes.count, bytes[position] == UInt8(ascii: "[") {
          throw CheckpointError(
            .unsupported, file: file, place: place.isEmpty ? "npy header" : place,
            found: "an array of records with named fields", expected: "an array of numbers",
            advice: "Save each field as an array of its own")
        }
        descr = try string()
      case "fortran_order" where isFortranOrder == nil:
        skipSpace()
        if take("True") {
          isFortranOrder = true
        } else if take("False") {
          isFortranOrder = false
        } else {
          throw failure(expected: "True or False")
        }
      case "shape" where shape == nil: shape = try tuple()
      default:
        throw failure("the key '\(key)'", expected: "descr, fortran_order and shape, once each")
      }
      if !take(",") {
        try expect("}")
        break
      }
    }
    skipSpace()
    guard position == bytes.count else { throw failure(expected: "the end of the header") }
    guard let descr, let isFortranOrder, let shape else {
      throw failure("a key is missing", expected: "descr, fortran_order and shape")
    }
    return Fields(descr: descr, isFortranOrder: isFortranOrder, shape: shape)
  }

  private mutating func string() throws(CheckpointError) -> String {
    skipSpace()
    guard position < bytes.count, bytes[position] == 0x27 || bytes[position] == 0x22 else {
      throw failure(expected: "a string in quotation marks")
    }
    let quote = bytes[position]
    let start = position + 1
    var end = start
    while end < bytes.count, bytes[end] != quote {
      guard bytes[end] >= 0x20, bytes[end] < 0x7F, bytes[end] != UInt8(ascii: "\\") else {
        throw failure("an unusual character in a string", expected: "plain ASCII")
      }
      end += 1
    }
    guard end < bytes.count else { throw failure("a string without end", expected: "its end") }
    position = end + 1
    return String(decoding: bytes[start..<end], as: UTF8.self)
  }

  /// `()`, `(3,)`, `(3, 4)`; `(3)` is a number to Python and is refused, as NumPy does.
  private mutating func tuple() throws(CheckpointError) -> [Int] {
    try expect("(")
    var result: [Int] = []
    var hasComma = false
    while !take(")") {
      result.append(try integer())
      if take(",") {
        hasComma = true
      } else {
        try expect(")")
        break
      }
    }
    guard result.isEmpty || hasComma else {
      throw failure("a number in parentheses", expected: "a tuple such as (3,)")
    }
    return result
  }

  private mutating func integer() throws(CheckpointError) -> Int {
    skipSpace()
    let start = position
    while position < bytes.count,
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position])
    {
      position += 1
    }
    guard let value = Int(String(decoding: bytes[start..<position], as: UTF8.self)) else {
      throw failure(expected: "an extent from 0 to 2^63 - 1")
    }
    // Files of Python 2 may write a long integer as 3L.
    _ = takeHere("L")
    return value
  }

  private mutating func expect(_ text: StaticString) throws(CheckpointError) {
    guard take(text) else { throw failure(expected: "\"\(text)\"") }
  }

  private mutating func take(_ text: StaticString) -> Bool {
    skipSpace()
    return takeHere(text)
  }

  private mutating func takeHere(_ text: StaticString) -> Bool {
    guard bytes.holds(text, at: position) else { return false }
    position += text.utf8CodeUnitCount
    return true
  }

  private mutating func skipSpace() {
    while position < bytes.count, bytes[position] == 0x20 || bytes[position] == 0x0A {
      position += 1
    }
  }

  private func failure(_ found: String? = nil, expected: String) -> CheckpointError {
    let here =
      position < bytes.count
      ? "\"\(String(decoding: bytes[position..<min(position + 16, bytes.count)], as: UTF8.self))\""
      : "the end of the header"
    return CheckpointError(
      .malformed, file: file, place: (place.isEmpty ? "" : place + ", ") + "npy header",
      found: found ?? here, expected: expected)
  }
}
