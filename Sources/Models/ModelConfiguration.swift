import Checkpoints
import Tensors

/// The hyper-parameters of one family of architectures. A family is a type of configuration: its
/// named variants, the key names its weights go by, how a configuration is read off a checkpoint, and
/// how a model is built.
///
/// To add a family: write one such type and its ``VisionModel``, and add it to ``ModelRegistry``.
public protocol ModelConfiguration: Codable, Sendable, Equatable {
  /// The name before the parentheses in `vit(patch=4,…)`.
  static var family: String { get }
  /// What the family is, in a few words.
  static var summary: String { get }
  /// The hyper-parameters; one declared later may take its default from earlier ones.
  static var parameters: [ConfigurationParameter<Self>] { get }
  /// The architectures that have a name of their own.
  static var variants: [ModelVariant<Self>] { get }
  /// The key names that weights of the family go by; the first are the canonical ones.
  static var keyMappings: [KeyMapping] { get }

  /// Any configuration of the family; every declared parameter is set right after.
  init()

  /// The size of the input images in pixels.
  var imageSize: Extents { get set }
  /// Colour channels of the input images.
  var channels: Int { get set }
  /// How many classes the head tells apart; 0 without a head.
  var classes: Int { get set }
  /// How images are prepared when nothing else says so.
  var preprocessing: Preprocessing { get }
  /// Whether the network takes images that are no squares.
  static var takesRectangles: Bool { get }
  /// The largest map of an image: how many tokens or places, and how many channels each. Bounded by
  /// 2²⁸ values.
  var largestMap: (places: Int, channels: Int) { get }

  /// Checks what the ranges of single parameters do not: that they make a network together. Every
  /// parameter lies in its range by then.
  ///
  /// - Throws: ``ModelError`` of kind `badArgument` that names the parameter.
  func checkRelations() throws(ModelError)

  /// Reads a configuration off the names and shapes of weights, and off `config.json` if it is there.
  ///
  /// - Parameters:
  ///   - weights: shapes by canonical name; its key mapping is one of ``keyMappings``.
  ///   - base: where to take from what the weights do not tell (heads of attention).
  /// - Throws: ``ModelError`` for weights that are not quite of this family, for settings that
  ///   contradict the shapes, and for what cannot be told.
  static func detect(
    _ weights: WeightsView, base: Self?
  ) throws(ModelError) -> Self

  /// What each key of the settings beside weights means; nil if they are not read. A key that is not in
  /// the list is refused.
  static var settings: [ConfigurationSetting<Self>]? { get }

  /// Why a name that looks like a variant of this family is none: it stands for another network.
  static func reasonAgainst(variant: String) -> String?

  /// What weights are that look like this family's and are of another network; nil if they do not.
  static func reasonAgainst(names: [String]) -> String?

  /// What neighbours of the weights in the file make doubtful of what has to be assumed; nil for nothing.
  static func doubts(_ weights: WeightsView) -> String?

  /// Builds a model from weights.
  func makeModel(_ weights: Scope) throws(ParameterError) -> any VisionModel
}

/// A named architecture: timm's name, its configuration and how its images are prepared.
public struct ModelVariant<Configuration: ModelConfiguration>: Sendable {
  /// The name in timm's spelling.
  public let name: String
  /// The hyper-parameters.
  public let configuration: Configuration
  /// How images are prepared.
  public let preprocessing: Preprocessing

  /// A variant made of its parts.
  public init(_ name: String, _ configuration: Configuration, _ preprocessing: Preprocessing) {
    self.name = name
    self.configuration = configuration
    self.preprocessing = preprocessing
  }
}

extension ModelConfiguration {
  /// ImageNet's statistics and a crop; images as they are if they are small.
  public var preprocessing: Preprocessing { preprocessing(.imageNet(imageSize.side, crop: 0.9)) }

  /// Images as they are if they are small, of another number of channels than 3, or no squares; else
  /// the preparation given.
  func preprocessing(_ usual: Preprocessing) -> Preprocessing {
    .assumed(imageSize, channels: channels, usual)
  }

  /// Squares only.
  public static var takesRectangles: Bool { false }

  /// Nothing that would have to be bounded.
  public var largestMap: (places: Int, channels: Int) { (0, 0) }

  /// Nothing else to check.
  public func checkRelations() throws(ModelError) {}

  /// Settings are not read.
  public static var settings: [ConfigurationSetting<Self>]? { nil }

  /// The most values that a map of one image may have: 1 GiB of them.
  static var largestValue: Int { 1 << 28 }

  /// Checks that every parameter lies in its range, and that they make a network together.
  ///
  /// - Throws: ``ModelError`` of kind `badArgument` that names the parameter.
  public func validate() throws(ModelError) {
    for parameter in Self.parameters {
      if let expected = parameter.violation(self) {
        throw refusal(parameter.name, parameter.text(self), expected)
      }
    }
    if !imageSize.isSquare, !Self.takesRectangles {
      throw refusal("image", imageSize.argument, "a square: this family takes no other images")
    }
    let (places, channels) = largestMap
    // Below 64 channels the places themselves are what costs.
    guard places <= Self.largestValue / max(channels, 64) else {
      throw refusal(
        "image", "\(places) places of \(channels) channels at \(imageSize.argument) pixels",
        "at most \(Self.largestValue) values in a map",
        "Give a smaller image size")
    }
    try checkRelations()
  }

  /// An error about a parameter.
  func refusal(
    _ name: String, _ found: String, _ expected: String, _ advice: String = ""
  ) -> ModelError {
    ModelError(
      .badArgument, place: "\(Self.family)(\(name)=…)", found: found, expected: expected,
      advice: advice)
  }

  /// No name is refused.
  public static func reasonAgainst(variant: String) -> String? { nil }

  /// No weights are refused.
  public static func reasonAgainst(names: [String]) -> String? { nil }

  /// Nothing is doubtful.
  public static func doubts(_ weights: WeightsView) -> String? { nil }

  /// The names of all variants.
  public static var variantNames: [String] { variants.map(\.name) }

  /// Reads `name=value` pairs; parameters not given take their defaults.
  ///
  /// - Throws: ``ModelError`` that names the argument, with the nearest name if there is no such one.
  public static func parse(_ arguments: [(String, String)]) throws(ModelError) -> Self {
    var given: [String: String] = [:]
    for (name, value) in arguments {
      guard parameters.contains(where: { $0.name == name }) else {
        let known = parameters.map(\.name)
        throw ModelError(
          .badArgument, place: "\(family)(\(name)=…)", found: "no hyper-parameter \"\(name)\"",
          expected: "one of " + known.joined(separator: ", "),
          advice: NearMatch.question(name, among: known))
      }
      guard given.updateValue(value, forKey: name) == nil else {
        throw ModelError(
          .badArgument, place: "\(family)(\(name)=…)", found: "\"\(name)\" is given twice")
      }
    }
    var configuration = Self()
    for parameter in parameters {
      guard let text = given[parameter.name] else {
        parameter.assignDefault(&configuration)
        continue
      }
      guard parameter.assign(&configuration, text) else {
        throw ModelError(
          .badArgument, place: "\(family)(\(parameter.name)=…)", found: "\"\(text)\"",
          expected: parameter.expectation)
      }
    }
    try configuration.validate()
    return configuration
  }

  /// The configuration as text that reads back the same: `vit(image=32,patch=4,…)`.
  public var text: String {
    let shown = Self.parameters.filter { $0.isAlwaysShown || !$0.isDefault(self) }
    return Self.family + "("
      + shown.map { "\($0.name)=\($0.text(self))" }.joined(separator: ",") + ")"
  }

  /// Names of the parameters in which two configurations differ, with both values.
  func differences(
    from other: Self, among names: (ConfigurationParameter<Self>) -> Bool
  ) -> [(name: String, own: String, other: String)] {
    Self.parameters.compactMap { parameter in
      let (own, theirs) = (parameter.text(self), parameter.text(other))
      return names(parameter) && own != theirs ? (parameter.name, own, theirs) : nil
    }
  }
}
