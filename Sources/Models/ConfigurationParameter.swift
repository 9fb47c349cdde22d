/// One hyper-parameter of a family: its name in `vit(patch=4,…)`, its place in the configuration, its
/// range, and its default, which may follow from the parameters declared before it.
public struct ConfigurationParameter<Configuration: Sendable>: Sendable {
  /// Where the value of a loaded model comes from.
  public enum Origin: Sendable {
    /// Names and shapes of the weights tell it; another value is a conflict.
    case weights
    /// Nothing in the weights tells it.
    case declaration
    /// The weights tell it, and it may differ from the named variant's: the number of classes.
    case adaptable
  }

  /// A place in a configuration.
  public typealias Path<Value> = any WritableKeyPath<Configuration, Value> & Sendable
  /// What follows from a configuration; a key path as a rule.
  public typealias Source<Value> = @Sendable (Configuration) -> Value

  /// A place of any type.
  typealias Place = any AnyKeyPath & Sendable

  /// The name in an architecture's text.
  public let name: String
  /// What it is, in a few words.
  public let summary: String
  /// What values are possible, for messages.
  public let expectation: String
  /// Where the value of a loaded model comes from.
  public let origin: Origin

  let place: Place
  let isAlwaysShown: Bool
  let assign: @Sendable (inout Configuration, String) -> Bool
  let assignDefault: @Sendable (inout Configuration) -> Void
  let copy: @Sendable (Configuration, inout Configuration) -> Void
  let text: @Sendable (Configuration) -> String
  let isDefault: @Sendable (Configuration) -> Bool
  /// What is expected of a value that is out of its range; nil if it lies in it.
  let violation: @Sendable (Configuration) -> String?

  /// A parameter whose default follows from those declared before it.
  ///
  /// - Parameters:
  ///   - range: where the number, or each number of a list, has to lie; without effect on others.
  ///   - bound: another parameter that it may not exceed.
  ///   - count: how many numbers a list may have.
  ///   - list: another list that has as many numbers: one a stage.
  public init<Value: ConfigurationValue>(
    _ name: String, _ path: Path<Value>, _ summary: String, in range: ClosedRange<Int> = 0...1,
    atMost bound: Source<Int>? = nil, count: ClosedRange<Int>? = nil,
    asMany list: Source<[Int]>? = nil,
    origin: Origin = .weights, isAlwaysShown: Bool = false,
    derived: @escaping @Sendable (Configuration) -> Value
  ) {
    self.name = name
    place = path
    self.summary = summary
    self.expectation = Value.expectation
    self.origin = origin
    self.isAlwaysShown = isAlwaysShown
    assign = { configuration, text in
      guard let value = Value(argument: text) else { return false }
      configuration[keyPath: path] = value
      return true
    }
    assignDefault = { $0[keyPath: path] = derived($0) }
    copy = { $1[keyPath: path] = $0[keyPath: path] }
    text = { $0[keyPath: path].argument }
    isDefault = { $0[keyPath: path] == derived($0) }
    violation = { configuration in
      let value = configuration[keyPath: path]
      let most = bound.map { max(range.lowerBound, $0(configuration)) } ?? range.upperBound
      let range = range.lowerBound...min(range.upperBound, most)
      let interval = "\(range.lowerBound) to \(range.upperBound)"
      let counts = list.map { $0(configuration).count }.map { $0...$0 } ?? count
      guard let counts, let numbers = value as? [Int] else {
        return value.lies(in: range) ? nil : interval
      }
      if counts.contains(numbers.count), value.lies(in: range) { return nil }
      let number =
        counts.count == 1 ? "\(counts.lowerBound)" : "\(counts.lowerBound) to \(counts.upperBound)"
      return "\(number) numbers, one a stage, of \(interval)"
    }
  }

  /// A parameter with a fixed default.
  public init<Value: ConfigurationValue>(
    _ name: String, _ path: Path<Value>, _ summary: String, default value: Value,
    in range: ClosedRange<Int> = 0...1, atMost bound: Source<Int>? = nil,
    count: ClosedRange<Int>? = nil, asMany list: Source<[Int]>? = nil, origin: Origin = .weights,
    isAlwaysShown: Bool = false
  ) {
    self.init(
      name, path, summary, in: range, atMost: bound, count: count, asMany: list, origin: origin,
      isAlwaysShown: isAlwaysShown
    ) { _ in value }
  }
}

// MARK: Parameters that families share

extension ConfigurationParameter where Configuration: ModelConfiguration {
  /// `image`, the size of the input images.
  ///
  /// - Parameter path: the place of the concrete type: that of the protocol is another to settings.
  public static func image(
    _ path: Path<Extents>, derived: @escaping @Sendable (Configuration) -> Extents = { _ in 224 }
  ) -> Self {
    .init(
      "image", path, "side of the input images in pixels, or HEIGHTxWIDTH", in: 1...16384,
      origin: .declaration, isAlwaysShown: true, derived: derived)
  }

  /// `patch`, the side of a patch, at most an image.
  public static func patch(_ path: Path<Int>, default side: Int = 16) -> Self {
    .init(
      "patch", path, "side of a patch in pixels", default: side, in: 1...16384,
      atMost: \.imageSize.shorterSide, isAlwaysShown: true)
  }

  /// `classes`, 0 without a head.
  public static var classes: Self {
    .init(
      "classes", \.classes, "number of classes, 0 without a head", default: 1000,
      in: 0...1_000_000, origin: .adaptable, isAlwaysShown: true)
  }

  /// `channels` of the images.
  public static var channels: Self {
    .init("channels", \.channels, "colour channels", default: 3, in: 1...64)
  }

  /// `dim`, the width of a token.
  public static func dim(_ path: Path<Int>, default width: Int) -> Self {
    .init("dim", path, "width of a token", default: width, in: 1...65536, isAlwaysShown: true)
  }

  /// `depth`, the number of blocks.
  public static func depth(_ path: Path<Int>, default count: Int) -> Self {
    .init("depth", path, "number of blocks", default: count, in: 1...1024, isAlwaysShown: true)
  }

  /// `depths`, the blocks of each stage.
  public static func depths(_ path: Path<[Int]>, default depths: [Int]) -> Self {
    .init(
      "depths", path, "blocks of each stage", default: depths, in: 1...1024, count: 1...8,
      isAlwaysShown: true)
  }

  /// `mlp`, the width inside a perceptron: `ratio` times the width of a token.
  public static func mlp(_ path: Path<Int>, dim: @escaping Source<Int>, ratio: Int = 4) -> Self {
    .init("mlp", path, "width inside the perceptron", in: 1...1_048_576) {
      dim($0).multipliedReportingOverflow(by: ratio).partialValue
    }
  }

  /// `qkv-bias`, whether queries, keys and values have a bias.
  public static func qkvBias(_ path: Path<Bool>) -> Self {
    .init("qkv-bias", path, "a bias on queries, keys, values", default: true)
  }

  /// `eps`, the epsilon of normalisations.
  public static func epsilon(
    _ path: Path<Double>, derived: @escaping @Sendable (Configuration) -> Double = { _ in 1e-6 }
  ) -> Self {
    .init(
      "eps", path, "epsilon of normalisations", in: 0...1, origin: .declaration, derived: derived)
  }
}
