import Testing

@testable import Checkpoints

@Suite struct ElementConversionTests {
  private func floats<Element>(_ values: [Element], _ type: ElementType) -> [Float] {
    [Float](unsafeUninitializedCapacity: values.count) { buffer, count in
      let target = UnsafeMutableBufferPointer(rebasing: buffer[..<values.count])
      let isValid = values.withUnsafeBytes { convert($0, type, into: target) }
      count = isValid ? values.count : 0
    }
  }

  @Test func everyHalfIsTheSameAsByTheCompiler() {
    let all = (UInt16.min...UInt16.max).map { $0 }
    let converted = floats(all, .float16)
    var wrong = 0
    for (half, value) in zip(all, converted) {
      let expected = Float(Float16(bitPattern: half))
      // A signalling NaN may become a quiet one.
      if expected.isNaN ? !value.isNaN : expected.bitPattern != value.bitPattern { wrong += 1 }
    }
    #expect(converted.count == 65_536)
    #expect(wrong == 0)
  }

  @Test func everyBrainFloatIsTheUpperHalfOfASingle() {
    let all = (UInt16.min...UInt16.max).map { $0 }
    let converted = floats(all, .bfloat16)
    #expect(zip(all, converted).allSatisfy { UInt32($0) << 16 == $1.bitPattern })
  }

  @Test func integersAndDoublesRoundToNearest() {
    #expect(floats([Int8.min, -1, .max], .int8) == [-128, -1, 127])
    #expect(floats([UInt8.max], .uint8) == [255])
    #expect(floats([Int16.min, .max], .int16) == [-32768, 32767])
    #expect(floats([UInt16.max], .uint16) == [65535])
    #expect(floats([Int32.min, 16_777_217], .int32) == [-0x1p31, 16_777_216])
    #expect(floats([UInt32.max], .uint32) == [0x1p32])
    #expect(floats([Int64.min, .max], .int64) == [-0x1p63, 0x1p63])
    #expect(floats([UInt64.max], .uint64) == [0x1p64])
    #expect(floats([0.1, 1e300, -1e-300] as [Double], .float64) == [0.1, .infinity, -0.0])
    #expect(floats([UInt8(0), 1], .bool) == [0, 1])
    #expect(floats([UInt8(2)], .bool) == [])
  }

  @Test func valuesAtOddAddressesAreRead() {
    let bytes: [UInt8] = [9] + little(Float(1.5).bitPattern) + little(Float(-2).bitPattern)
    var result: [Float] = [0, 0]
    let isValid = bytes.withUnsafeBytes { bytes in
      result.withUnsafeMutableBufferPointer {
        convert(UnsafeRawBufferPointer(rebasing: bytes[1...]), .float32, into: $0)
      }
    }
    #expect(isValid && result == [1.5, -2])
  }
}
