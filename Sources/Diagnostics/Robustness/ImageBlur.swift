import Glibc

/// Means over neighbourhoods of the places of an image `[height, width, channels]`; pixels at the border go on
/// outside.
struct ImageBlur {
  let height: Int
  let width: Int
  let channels: Int

  /// What each place of a neighbourhood counts for, between pixels too.
  private typealias Neighbour = (y: Double, x: Double, weight: Double)

  /// The mean over a disk whose rim fades over a pixel.
  func disk(_ image: inout [Double], radius: Double) {
    let reach = Int(radius.rounded(.up))
    var disk: [Neighbour] = []
    for y in -reach...reach {
      for x in -reach...reach {
        let weight = min(1, radius + 1 - Double(y * y + x * x).squareRoot())
        if weight > 0 { disk.append((Double(y), Double(x), weight)) }
      }
    }
    image = mean(image, over: disk)
  }

  /// The mean along a line with normal weights, up to three deviations to both sides, half a pixel at a step.
  ///
  /// - Parameters:
  ///   - deviation: in pixels.
  ///   - angle: from the horizontal, in radians.
  func line(_ image: inout [Double], deviation: Double, angle: Double) {
    let steps = Int((6 * deviation).rounded(.up))
    let line = (-steps...steps).map { step -> Neighbour in
      let at = Double(step) / 2
      return (at * sin(angle), at * cos(angle), exp(-at * at / (2 * deviation * deviation)))
    }
    image = mean(image, over: line)
  }

  /// Enlargements about the middle between 1 and the largest, as many as they are.
  private static let enlargements = 11

  /// The mean over eleven enlargements about the middle, from none to the largest, evenly spaced.
  func zoom(_ image: inout [Double], upTo largest: Double) {
    let source = image
    let (middleY, middleX) = (Double(height - 1) / 2, Double(width - 1) / 2)
    image = [Double](repeating: 0, count: source.count)
    for step in 0..<Self.enlargements {
      let factor = 1 + (largest - 1) * Double(step) / Double(Self.enlargements - 1)
      for y in 0..<height {
        for x in 0..<width {
          add(
            source, y: middleY + (Double(y) - middleY) / factor,
            x: middleX + (Double(x) - middleX) / factor, times: 1 / Double(Self.enlargements),
            to: &image, at: (y * width + x) * channels)
        }
      }
    }
  }

  /// The mean over each of so many blocks.
  func blocks(_ image: inout [Double], rows: Int, columns: Int) {
    func block(_ y: Int, _ x: Int, _ channel: Int) -> Int {
      (y * rows / height * columns + x * columns / width) * channels + channel
    }
    var sums = [Double](repeating: 0, count: rows * columns * channels)
    var counts = sums
    func forEach(_ body: (_ index: Int, _ block: Int) -> Void) {
      for y in 0..<height {
        for x in 0..<width {
          for channel in 0..<channels {
            body((y * width + x) * channels + channel, block(y, x, channel))
          }
        }
      }
    }
    forEach { index, block in
      sums[block] += image[index]
      counts[block] += 1
    }
    forEach { index, block in image[index] = sums[block] / counts[block] }
  }

  private func mean(_ image: [Double], over places: [Neighbour]) -> [Double] {
    let sum = places.reduce(0) { $0 + $1.weight }
    var result = [Double](repeating: 0, count: image.count)
    for y in 0..<height {
      for x in 0..<width {
        for place in places {
          add(
            image, y: Double(y) + place.y, x: Double(x) + place.x, times: place.weight / sum,
            to: &result, at: (y * width + x) * channels)
        }
      }
    }
    return result
  }

  /// Adds what lies at a place, between pixels by linear interpolation.
  private func add(
    _ image: [Double], y: Double, x: Double, times weight: Double, to result: inout [Double],
    at index: Int
  ) {
    let (top, left) = (y.rounded(.down), x.rounded(.down))
    for (row, down) in [(top, 1 - (y - top)), (top + 1, y - top)] where down > 0 {
      for (column, right) in [(left, 1 - (x - left)), (left + 1, x - left)] where right > 0 {
        let from =
          (min(max(Int(row), 0), height - 1) * width + min(max(Int(column), 0), width - 1))
          * channels
        for channel in 0..<channels {
          result[index + channel] += weight * down * right * image[from + channel]
        }
      }
    }
  }
}
