extension UnsafeRawBufferPointer {
  /// The little-endian integer that starts at `offset`, or nil if it would leave the buffer.
  func littleEndian<T: FixedWidthInteger>(_ type: T.Type, at offset: Int) -> T? {
    guard offset >= 0, offset <= count, count - offset >= MemoryLayout<T>.size else { return nil }
    return T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
  }

  /// `length` bytes from `offset` on, or nil if they would leave the buffer.
  func part(at offset: Int, length: Int) -> UnsafeRawBufferPointer? {
    guard offset >= 0, length >= 0, offset <= count, count - offset >= length else { return nil }
    return UnsafeRawBufferPointer(rebasing: self[offset..<offset + length])
  }

  /// Whether the bytes from `offset` on are those of `text`.
  func holds(_ text: StaticString, at offset: Int = 0) -> Bool {
    guard let here = part(at: offset, length: text.utf8CodeUnitCount) else { return false }
    return here.elementsEqual(
      UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  /// The bytes as text, or nil if they are not valid UTF-8.
  var utf8Text: String? { String(validating: self, as: UTF8.self) }
}

/// The product of `factors`, or nil if it does not fit.
func checkedProduct(_ factors: some Sequence<Int>) -> Int? {
  var product = 1
  for factor in factors {
    let (value, overflow) = product.multipliedReportingOverflow(by: factor)
    if overflow { return nil }
    product = value
  }
  return product
}

/// The sum of two numbers, or nil if it does not fit.
func checkedSum(_ a: Int, _ b: Int) -> Int? {
  let (value, overflow) = a.addingReportingOverflow(b)
  return overflow ? nil : value
}
