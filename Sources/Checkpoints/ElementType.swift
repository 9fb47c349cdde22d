/// The type of a tensor's elements, by the names of the safetensors format.
public enum ElementType: String, Sendable, CaseIterable, CustomStringConvertible {
  /// IEEE double precision.
  case float64 = "F64"
  /// IEEE single precision.
  case float32 = "F32"
  /// IEEE half precision.
  case float16 = "F16"
  /// The upper half of a single.
  case bfloat16 = "BF16"
  /// Signed, 64 bits.
  case int64 = "I64"
  /// Signed, 32 bits.
  case int32 = "I32"
  /// Signed, 16 bits.
  case int16 = "I16"
  /// Signed, 8 bits.
  case int8 = "I8"
  /// Unsigned, 64 bits.
  case uint64 = "U64"
  /// Unsigned, 32 bits.
  case uint32 = "U32"
  /// Unsigned, 16 bits.
  case uint16 = "U16"
  /// Unsigned, 8 bits.
  case uint8 = "U8"
  /// One byte, 0 or 1.
  case bool = "BOOL"
  /// Two singles. Listed, never converted.
  case complex64 = "C64"
  /// Eight bits: 4 of exponent, 3 of mantissa. Listed, never converted.
  case float8E4M3 = "F8_E4M3"
  /// Eight bits: 5 of exponent, 2 of mantissa. Listed, never converted.
  case float8E5M2 = "F8_E5M2"
  /// Eight bits, without a negative zero. Listed, never converted.
  case float8E4M3FNUZ = "F8_E4M3FNUZ"
  /// Eight bits, without a negative zero. Listed, never converted.
  case float8E5M2FNUZ = "F8_E5M2FNUZ"
  /// Eight bits of exponent. Listed, never converted.
  case float8E8M0 = "F8_E8M0"
  /// Six bits: 2 of exponent, 3 of mantissa. Listed, never converted.
  case float6E2M3 = "F6_E2M3"
  /// Six bits: 3 of exponent, 2 of mantissa. Listed, never converted.
  case float6E3M2 = "F6_E3M2"
  /// Four bits. Listed, never converted.
  case float4 = "F4"

  /// Width of one element in bits.
  public var bits: Int {
    switch self {
    case .float64, .int64, .uint64, .complex64: 64
    case .float32, .int32, .uint32: 32
    case .float16, .bfloat16, .int16, .uint16: 16
    case .float6E2M3, .float6E3M2: 6
    case .float4: 4
    default: 8
    }
  }

  /// Whether values of this type can be read as Float32.
  public var isConvertible: Bool {
    switch self {
    case .complex64, .float8E4M3, .float8E5M2, .float8E4M3FNUZ, .float8E5M2FNUZ, .float8E8M0,
      .float6E2M3, .float6E3M2, .float4:
      false
    default: true
    }
  }

  /// The name in the safetensors format.
  public var description: String { rawValue }

  /// Bytes taken by a dense tensor of this type, or nil if the shape is impossible: a negative
  /// extent, a product beyond 64 bits, or sub-byte elements that do not fill whole bytes.
  ///
  /// Extents of 0 make an empty tensor, but the others must still multiply without overflow, so
  /// that strides computed from the shape later cannot overflow either.
  public func byteCount(shape: [Int]) -> Int? {
    guard shape.allSatisfy({ $0 >= 0 }),
      let span = checkedProduct(shape.lazy.map { max($0, 1) }),
      let bits = checkedProduct([span, self.bits])
    else { return nil }
    if shape.contains(0) { return 0 }
    return bits.isMultiple(of: 8) ? bits / 8 : nil
  }
}

extension ElementType {
  /// The type of a number of ONNX's `TensorProto.DataType`; nil for one that no file of tensors has.
  public init?(onnxCode code: Int) {
    switch code {
    case 1: self = .float32
    case 2: self = .uint8
    case 3: self = .int8
    case 4: self = .uint16
    case 5: self = .int16
    case 6: self = .int32
    case 7: self = .int64
    case 9: self = .bool
    case 10: self = .float16
    case 11: self = .float64
    case 12: self = .uint32
    case 13: self = .uint64
    case 14: self = .complex64
    case 16: self = .bfloat16
    case 17: self = .float8E4M3
    case 18: self = .float8E4M3FNUZ
    case 19: self = .float8E5M2
    case 20: self = .float8E5M2FNUZ
    case 24: self = .float8E8M0
    default: return nil
    }
  }
}
