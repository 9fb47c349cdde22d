import Glibc
import Images
import Tensors

/// The loss whose Hessian is taken: cross-entropy, with what training did to its targets.
public struct TrainingLoss: Sendable, Codable, Hashable {
  /// Label smoothing: this share of each target is spread over all classes.
  public var smoothing = 0.0
  /// Mixup (Zhang et al. 2018): the parameter of the Beta distribution of the mixing share; 0: none.
  public var mixup = 0.0
  /// CutMix (Yun et al. 2019): likewise for the share of the pasted rectangle; 0: none.
  public var cutmix = 0.0
  /// Seed of mixing shares and rectangles.
  public var seed: UInt64 = 0

  /// Cross-entropy with hard targets.
  public init() {}

  /// What the loss is called in tables.
  public var name: String {
    var name = "cross_entropy"
    if smoothing > 0 { name += "+smoothing=\(smoothing)" }
    if mixup > 0 { name += "+mixup=\(mixup)" }
    if cutmix > 0 { name += "+cutmix=\(cutmix)" }
    return name
  }

  /// Images and soft targets of a minibatch as training would see them. A minibatch is mixed with
  /// itself in reverse order by one share, as timm does.
  ///
  /// - Parameters:
  ///   - images: `[N, H, W, C]`.
  ///   - labels: the class of each, below `classes`.
  ///   - batch: the number of the minibatch: what is drawn depends on it and the seed alone.
  /// - Returns: images of the same shape, and targets `[N, classes]`.
  func prepare(
    _ images: Tensor, labels: [Int], classes: Int, batch: Int
  ) -> (images: Tensor, targets: Tensor) {
    let (off, on) = (smoothing / Double(classes), 1 - smoothing + smoothing / Double(classes))
    let count = labels.count
    precondition(
      count == images.shape[0] && labels.allSatisfy { (0..<classes).contains($0) },
      "\(count) labels for \(images.shape[0]) images, all of which must be below \(classes)")
    var targets = [Float](repeating: Float(off), count: count * classes)
    for (row, label) in labels.enumerated() { targets[row * classes + label] = Float(on) }
    guard mixup > 0 || cutmix > 0 else {
      return (images, Tensor(targets, shape: [count, classes]))
    }
    let random = CounterRandom(seed: seed, purpose: "mixup and cutmix", stream: UInt64(batch))
    var draws = Draws(random)
    let cuts = cutmix > 0 && (mixup == 0 || draws.uniform() < 0.5)
    var share = draws.beta(cuts ? cutmix : mixup)
    var values = images.values
    let source = values
    let (height, width, channels) = (images.shape[1], images.shape[2], images.shape[3])
    let size = height * width * channels
    if cuts {
      // A rectangle of area 1 - share, cut off at the border; the share follows the pixels that remain.
      let side = (1 - share).squareRoot()
      let (h, w) = (Int(Double(height) * side), Int(Double(width) * side))
      let y = Int(draws.uniform() * Double(height))
      let x = Int(draws.uniform() * Double(width))
      let rows = max(0, y - h / 2)..<max(max(0, y - h / 2), min(height, y + h / 2))
      let columns = max(0, x - w / 2)..<max(max(0, x - w / 2), min(width, x + w / 2))
      for image in 0..<count {
        for row in rows {
          let at = (row * width + columns.lowerBound) * channels
          for index in 0..<(columns.count * channels) {
            values[image * size + at + index] = source[(count - 1 - image) * size + at + index]
          }
        }
      }
      share = 1 - Double(rows.count * columns.count) / Double(height * width)
    } else {
      let (a, b) = (Float(share), Float(1 - share))
      for image in 0..<count {
        for index in 0..<size {
          values[image * size + index] =
            a * source[image * size + index] + b * source[(count - 1 - image) * size + index]
        }
      }
    }
    var mixed = targets
    let (a, b) = (Float(share), Float(1 - share))
    for row in 0..<count {
      for column in 0..<classes {
        mixed[row * classes + column] =
          a * targets[row * classes + column] + b * targets[(count - 1 - row) * classes + column]
      }
    }
    return (Tensor(values, shape: images.shape), Tensor(mixed, shape: [count, classes]))
  }
}

/// A sequence of draws from a counter-based generator.
private struct Draws {
  private let random: CounterRandom
  private var index: UInt64 = 0

  init(_ random: CounterRandom) { self.random = random }

  mutating func uniform() -> Double {
    defer { index += 1 }
    return random.uniform(at: index)
  }

  /// Beta(a, a) by Jöhnk's method (1964), in logarithms so that small `a` does not underflow.
  mutating func beta(_ a: Double) -> Double {
    if a == 1 { return uniform() }
    if a < 1 {
      while true {
        let (x, y) = (log(1 - uniform()) / a, log(1 - uniform()) / a)
        let top = max(x, y)
        let sum = top + log(exp(x - top) + exp(y - top))
        if sum <= 0 { return exp(x - sum) }
      }
    }
    let (x, y) = (gamma(a), gamma(a))
    return x / (x + y)
  }

  /// Gamma(a), a > 1, by the rejection method of Cheng (1977).
  private mutating func gamma(_ a: Double) -> Double {
    let inverse = 1 / (2 * a - 1).squareRoot()
    let (b, c) = (a - log(4.0), a + (2 * a - 1).squareRoot())
    while true {
      let (u, v) = (1 - uniform(), 1 - uniform())
      let odds = inverse * log(u / max(1 - u, 1e-300))
      let x = a * exp(odds)
      if b + c * odds - x >= log(u * u * v) { return x }
    }
  }
}
