import Tensors

/// The fill of the fixtures: FNV-1a of the key, then SplitMix64 of the element's number
/// (`Fixtures/make/fixture.py`).
enum DeterministicFill {
  static func hash(_ key: String) -> UInt64 {
    key.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  /// The number of element `index`, counted from 1.
  @inline(__always)
  static func bits(_ hash: UInt64, _ index: Int) -> UInt64 {
    var z = hash &+ UInt64(truncatingIfNeeded: index) &* 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Values of a key, in the order of the file.
  static func values(_ key: String, _ shape: [Int], isInput: Bool = false) -> Tensor {
    let count = shape.reduce(1, *)
    // Every case is offset + factor * u.
    let (offset, factor): (Double, Double)
    if isInput {
      (offset, factor) = (-1, 2)
    } else if key.hasSuffix("running_var") || shape.count == 1 && key.hasSuffix("weight") {
      (offset, factor) = (0.5, 1)
    } else if shape.count <= 1 {
      (offset, factor) = (-0.2, 0.4)
    } else {
      let root = (Double(count) / Double(shape[0])).squareRoot()
      (offset, factor) = (-1 / root, 2 / root)
    }
    let hash = hash(key)
    return Tensor(shape: Shape(shape)) { buffer in
      nonisolated(unsafe) let buffer = buffer
      let chunk = 1 << 16
      Threads.forEach((count + chunk - 1) / chunk) { part in
        var index = part * chunk
        let end = min(count, index + chunk)
        while index < end {
          let u = Double(bits(hash, index + 1) >> 40) * 0x1p-24
          buffer[index] = Float(offset + factor * u)
          index += 1
        }
      }
    }
  }
}

/// A model's parameters filled by their canonical names.
struct FilledParameters: ParameterSource {
  func tensor(for specification: ParameterSpecification) throws(ParameterError) -> Tensor {
    specification.layout.fromStored(
      DeterministicFill.values(specification.name, specification.storedShape))
  }
}
