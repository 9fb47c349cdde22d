import Glibc

/// A counter-based random generator: the number at an index depends on (seed, purpose, stream,
/// index) alone, never on the order or the thread in which numbers are asked for.
///
/// Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3"
/// (SC 2011). The seed is the key; the counter is the index (low half) and a label made of the
/// purpose and the stream (high half). One generator serves one kind of number: `uniform(at: 3)`
/// and `normal(at: 3)` are made of the same bits.
public struct CounterRandom: Sendable, Hashable {
  /// The key of the cipher.
  public let seed: UInt64
  let label: UInt64

  /// A generator of its own for every (seed, purpose, stream).
  ///
  /// - Parameters:
  ///   - seed: what the user chose.
  ///   - purpose: what the numbers are for, such as "lanczos start".
  ///   - stream: which of many equal purposes, such as the number of a probe.
  public init(seed: UInt64, purpose: String, stream: UInt64 = 0) {
    self.seed = seed
    // FNV-1a over the purpose and then the eight bytes of the stream.
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in purpose.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      hash = (hash ^ (stream >> shift & 0xff)) &* 0x100_0000_01b3
    }
    label = hash
  }

  /// The four 32-bit words of one counter value.
  public func block(at index: UInt64) -> SIMD4<UInt32> {
    Self.philox4x32(
      counter: SIMD4(
        UInt32(truncatingIfNeeded: index), UInt32(truncatingIfNeeded: index >> 32),
        UInt32(truncatingIfNeeded: label), UInt32(truncatingIfNeeded: label >> 32)),
      key: SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))
  }

  /// 64 random bits; two of them come from one block.
  public func bits(at index: UInt64) -> UInt64 {
    let words = block(at: index >> 1)
    return index & 1 == 0
      ? UInt64(words[0]) | UInt64(words[1]) << 32 : UInt64(words[2]) | UInt64(words[3]) << 32
  }

  /// Uniform in [0, 1), a multiple of 2⁻⁵³.
  public func uniform(at index: UInt64) -> Double {
    Double(bits(at: index) >> 11) * 0x1p-53
  }

  /// Uniform in 0 ..< `bound`; the bias is below `bound` · 2⁻⁶⁴.
  ///
  /// - Precondition: `bound` is positive.
  public func integer(below bound: Int, at index: UInt64) -> Int {
    precondition(bound > 0, "bound \(bound) is not positive")
    return Int(bits(at: index).multipliedFullWidth(by: UInt64(bound)).high)
  }

  /// Standard normal (Box and Muller); a pair of them comes from one block.
  public func normal(at index: UInt64) -> Double {
    let pair = normals(block(at: index >> 1))
    return index & 1 == 0 ? pair.0 : pair.1
  }

  /// +1 or -1 with equal probability; 128 of them come from one block.
  public func sign(at index: UInt64) -> Double {
    let within = Int(index & 127)
    return block(at: index >> 7)[within >> 5] >> UInt32(within & 31) & 1 == 0 ? 1 : -1
  }

  /// The standard normals 0 ..< `count`, equal to `normal(at:)`.
  public func normals(_ count: Int) -> [Double] {
    [Double](unsafeUninitializedCapacity: count) { buffer, initialized in
      for pair in 0..<(count + 1) / 2 {
        let (first, second) = normals(block(at: UInt64(pair)))
        buffer[2 * pair] = first
        if 2 * pair + 1 < count { buffer[2 * pair + 1] = second }
      }
      initialized = count
    }
  }

  /// The signs 0 ..< `count`, equal to `sign(at:)`: a Rademacher vector.
  public func signs(_ count: Int) -> [Double] {
    [Double](unsafeUninitializedCapacity: count) { buffer, initialized in
      for start in stride(from: 0, to: count, by: 128) {
        let words = block(at: UInt64(start >> 7))
        for within in 0..<min(128, count - start) {
          buffer[start + within] =
            words[within >> 5] >> UInt32(within & 31) & 1 == 0 ? 1 : -1
        }
      }
      initialized = count
    }
  }

  private func normals(_ words: SIMD4<UInt32>) -> (Double, Double) {
    let first = UInt64(words[0]) | UInt64(words[1]) << 32
    let second = UInt64(words[2]) | UInt64(words[3]) << 32
    // In (0, 1], so that the logarithm exists.
    let radius = (-2 * log(Double(first >> 11 + 1) * 0x1p-53)).squareRoot()
    let angle = 2 * Double.pi * (Double(second >> 11) * 0x1p-53)
    return (radius * cos(angle), radius * sin(angle))
  }

  /// The bijection itself: ten rounds on four 32-bit words under a 64-bit key.
  @inlinable
  public static func philox4x32(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var (c0, c1, c2, c3) = (counter[0], counter[1], counter[2], counter[3])
    var (k0, k1) = (key[0], key[1])
    for _ in 0..<10 {
      let p0 = UInt64(c0) &* 0xD251_1F53
      let p1 = UInt64(c2) &* 0xCD9E_8D57
      c0 = UInt32(truncatingIfNeeded: p1 >> 32) ^ c1 ^ k0
      c1 = UInt32(truncatingIfNeeded: p1)
      c2 = UInt32(truncatingIfNeeded: p0 >> 32) ^ c3 ^ k1
      c3 = UInt32(truncatingIfNeeded: p0)
      k0 = k0 &+ 0x9E37_79B9
      k1 = k1 &+ 0xBB67_AE85
    }
    return SIMD4(c0, c1, c2, c3)
  }
}
