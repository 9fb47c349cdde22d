/// The mean over images of a number an image, with the sum of squared deviations from it. Records of
/// minibatches are joined in their order.
struct AttentionMoments: Codable, Sendable {
  /// Images that have the number.
  private(set) var count = 0
  /// Images that have none.
  private(set) var undefined = 0
  private(set) var mean = 0.0
  /// The sum of squared deviations from the mean.
  private(set) var squares = 0.0

  /// Adds an image; nil if it has no such number.
  mutating func add(_ value: Double?) {
    guard let value else {
      undefined += 1
      return
    }
    count += 1
    let difference = value - mean
    mean += difference / Double(count)
    squares += difference * (value - mean)
  }

  /// Adds the images of another minibatch.
  mutating func add(_ other: AttentionMoments) {
    undefined += other.undefined
    guard other.count > 0 else { return }
    let total = Double(count + other.count)
    let difference = other.mean - mean
    squares += other.squares + difference * difference * Double(count) * Double(other.count) / total
    mean += difference * Double(other.count) / total
    count += other.count
  }

  /// Whether numbers read from a file can be those of a minibatch.
  func isValid(images: Int) -> Bool {
    (0...images).contains(count) && (0...images - count).contains(undefined)
      && mean.isFinite && squares.isFinite && squares >= 0
  }

  /// The standard error of the mean over images; nil for fewer than two.
  var standardError: Double? {
    count > 1 ? (max(0, squares) / Double(count - 1) / Double(count)).squareRoot() : nil
  }
}
