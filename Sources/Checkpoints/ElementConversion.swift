/// Converts dense little-endian elements to Float32; false if a truth value is not 0 or 1.
///
/// `bytes` holds exactly `target.count` elements and needs no alignment. Types without a
/// conversion are the caller's to refuse.
func convert(
  _ bytes: UnsafeRawBufferPointer, _ type: ElementType,
  into target: UnsafeMutableBufferPointer<Float>
) -> Bool {
  switch type {
  case .float32:
    UnsafeMutableRawBufferPointer(target).copyMemory(from: bytes)
  case .float16:
    each(bytes, UInt16.self, target) { half in
      // Shifted into place, a half is a single whose exponent is 112 too small; scaling by 2^112
      // is exact and serves subnormal halves too. Infinity and NaN keep the largest exponent.
      let magnitude = UInt32(half & 0x7FFF) << 13
      let scaled = (Float(bitPattern: magnitude) * 0x1p112).bitPattern
      let special: UInt32 = half & 0x7C00 == 0x7C00 ? 0x7F80_0000 : 0
      return Float(bitPattern: scaled | special | UInt32(half & 0x8000) << 16)
    }
  case .bfloat16:
    each(bytes, UInt16.self, target) { Float(bitPattern: UInt32($0) << 16) }
  case .float64:
    each(bytes, UInt64.self, target) { Float(Double(bitPattern: $0)) }
  case .int64: each(bytes, Int64.self, target) { Float($0) }
  case .int32: each(bytes, Int32.self, target) { Float($0) }
  case .int16: each(bytes, Int16.self, target) { Float($0) }
  case .int8: each(bytes, Int8.self, target) { Float($0) }
  case .uint64: each(bytes, UInt64.self, target) { Float($0) }
  case .uint32: each(bytes, UInt32.self, target) { Float($0) }
  case .uint16: each(bytes, UInt16.self, target) { Float($0) }
  case .uint8: each(bytes, UInt8.self, target) { Float($0) }
  case .bool:
    var seen: UInt8 = 0
    for byte in bytes { seen |= byte }
    guard seen <= 1 else { return false }
    each(bytes, UInt8.self, target) { Float($0) }
  default:
    return false
  }
  return true
}

@inline(__always)
private func each<Element: FixedWidthInteger>(
  _ bytes: UnsafeRawBufferPointer, _ type: Element.Type,
  _ target: UnsafeMutableBufferPointer<Float>, _ value: (Element) -> Float
) {
  precondition(bytes.count == target.count * MemoryLayout<Element>.size)
  guard let source = bytes.baseAddress, let result = target.baseAddress else { return }
  for index in 0..<target.count {
    let element = source.loadUnaligned(
      fromByteOffset: index &* MemoryLayout<Element>.size, as: Element.self)
    result[index] = value(Element(littleEndian: element))
  }
}

/// Reverses the bytes of every element of `width` bytes in place.
func swapBytes(_ bytes: UnsafeMutableRawBufferPointer, width: Int) {
  func swap<Element: FixedWidthInteger>(_ type: Element.Type) {
    for index in 0..<bytes.count / MemoryLayout<Element>.size {
      let offset = index * MemoryLayout<Element>.size
      let element = bytes.loadUnaligned(fromByteOffset: offset, as: Element.self)
      bytes.storeBytes(of: element.byteSwapped, toByteOffset: offset, as: Element.self)
    }
  }
  switch width {
  case 2: swap(UInt16.self)
  case 4: swap(UInt32.self)
  case 8: swap(UInt64.self)
  default: break
  }
}

/// Copies a strided tensor into dense row-major order.
///
/// - Parameters:
///   - source: bytes from the first element to the last in memory; strides are not negative.
///   - width: bytes of one element: 1, 2, 4 or 8.
///   - shape: the extents.
///   - strides: distance in elements between neighbours along each axis.
///   - target: room for the dense tensor.
func gather(
  _ source: UnsafeRawBufferPointer, width: Int, shape: [Int], strides: [Int],
  into target: UnsafeMutableRawBufferPointer
) {
  switch width {
  case 1: gather(UInt8.self, source, shape, strides, target)
  case 2: gather(UInt16.self, source, shape, strides, target)
  case 4: gather(UInt32.self, source, shape, strides, target)
  default: gather(UInt64.self, source, shape, strides, target)
  }
}

private func gather<Element: FixedWidthInteger>(
  _ type: Element.Type, _ source: UnsafeRawBufferPointer, _ shape: [Int], _ strides: [Int],
  _ target: UnsafeMutableRawBufferPointer
) {
  let width = MemoryLayout<Element>.size
  let total = target.count / width
  guard total > 0 else { return }
  let inner = shape.last ?? 1
  let innerStride = strides.last ?? 1
  var index = [Int](repeating: 0, count: max(shape.count - 1, 0))
  var start = 0
  var written = 0
  while written < total {
    for step in 0..<inner {
      let element = source.loadUnaligned(
        fromByteOffset: (start + step * innerStride) * width, as: Element.self)
      target.storeBytes(of: element, toByteOffset: (written + step) * width, as: Element.self)
    }
    written += inner
    // Advance the outer axes like an odometer.
    var axis = index.count - 1
    while axis >= 0 {
      index[axis] += 1
      start += strides[axis]
      if index[axis] < shape[axis] { break }
      start -= index[axis] * strides[axis]
      index[axis] = 0
      axis -= 1
    }
  }
}
