import Glibc

/// The recipe of the notebooks of Park and Kim, step by step in Float64: two-dimensional transform of
/// each map, `log(|F| + 1e-6)`, mean, roll, diagonal from the middle on, difference to its first entry.
/// The transform is the double sum itself, one axis after the other.
struct PlainSpectrum {
  let height: Int
  let width: Int
  /// `|F|` of each map, row-major: `[image][channel]`.
  let amplitudes: [[[Double]]]

  /// - Parameters:
  ///   - values: `[image][place][channel]`, no prefix tokens.
  init(_ values: [Float], images: Int, _ height: Int, _ width: Int, _ channels: Int) {
    self.height = height
    self.width = width
    amplitudes = (0..<images).map { image in
      (0..<channels).map { channel in
        let map = (0..<(height * width)).map { place in
          Double(values[(image * height * width + place) * channels + channel])
        }
        return Self.transform(map, height, width)
      }
    }
  }

  private static func transform(_ map: [Double], _ height: Int, _ width: Int) -> [Double] {
    func phases(_ n: Int) -> [(Double, Double)] {
      (0..<n).map {
        (cos(2 * .pi * Double($0) / Double(n)), -sin(2 * .pi * Double($0) / Double(n)))
      }
    }
    let (across, down) = (phases(width), phases(height))
    var (re, im) = (map, map)
    for i in 0..<height {
      for k in 0..<width {
        var (a, b) = (0.0, 0.0)
        for j in 0..<width {
          let (c, s) = across[j * k % width]
          a += map[i * width + j] * c
          b += map[i * width + j] * s
        }
        (re[i * width + k], im[i * width + k]) = (a, b)
      }
    }
    var result = map
    for k in 0..<height {
      for j in 0..<width {
        var (a, b) = (0.0, 0.0)
        for i in 0..<height {
          let (c, s) = down[i * k % height]
          a += re[i * width + j] * c - im[i * width + j] * s
          b += re[i * width + j] * s + im[i * width + j] * c
        }
        result[k * width + j] = (a * a + b * b).squareRoot()
      }
    }
    return result
  }

  /// The mean over images and channels of a quantity of every bin.
  func mean(_ quantity: (Double) -> Double) -> [Double] {
    let maps = amplitudes.flatMap { $0 }
    return (0..<(height * width)).map { bin in
      maps.reduce(0) { $0 + quantity($1[bin]) } / Double(maps.count)
    }
  }

  /// `roll` by half the extents, diagonal, entries from the middle on.
  func rolledDiagonal(_ plane: [Double]) -> [Double] {
    let (top, left) = (height / 2, width / 2)
    let rolled = (0..<height).map { i in
      (0..<width).map { j in
        plane[((i - top + height) % height) * width + (j - left + width) % width]
      }
    }
    return (0..<min(height, width)).map { rolled[$0][$0] }.dropFirst(top).map { $0 }
  }

  static func relative(_ curve: [Double]) -> [Double] { curve.map { $0 - curve[0] } }

  static func logAmplitude(_ x: Double) -> Double { log(x + 1e-6) }

  /// The curve of the notebook, for square maps.
  var diagonal: [Double] { rolledDiagonal(mean(Self.logAmplitude)) }

  var power: [Double] { rolledDiagonal(mean { $0 * $0 }).map { 0.5 * log($0) } }

  var axes: [Double] {
    let plane = mean(Self.logAmplitude)
    return (0..<((height + 1) / 2)).map { (plane[$0 * width] + plane[$0]) / 2 }
  }

  var rings: [Double] {
    let plane = mean(Self.logAmplitude)
    var sums = [Double](repeating: 0, count: height / 2 + 1)
    var counts = sums
    for i in 0..<height {
      for j in 0..<width {
        let (y, x) = (Double(min(i, height - i)), Double(min(j, width - j)))
        let ring = Int((x * x + y * y).squareRoot().rounded())
        guard ring < sums.count else { continue }
        sums[ring] += plane[i * width + j]
        counts[ring] += 1
      }
    }
    return zip(sums, counts).map { $0 / $1 }
  }

  /// The mean over maps of the sum of `|F|²` over all bins but the constant one.
  var energy: Double {
    mean { $0 * $0 }.dropFirst().reduce(0, +)
  }
}
