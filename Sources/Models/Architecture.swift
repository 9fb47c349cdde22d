import Tensors

/// An architecture that was asked for, or found: a configuration with a name.
public struct Architecture: Sendable {
  /// The hyper-parameters.
  public let configuration: any ModelConfiguration
  /// The named variant that was asked for; nil for a family with hyper-parameters.
  public let variant: String?
  /// How its images are prepared unless the checkpoint says otherwise.
  public let preprocessing: Preprocessing
  /// Names of the hyper-parameters that were given explicitly.
  let given: Set<String>

  /// An architecture of a configuration.
  public init(_ configuration: any ModelConfiguration) {
    self.init(configuration, given: [])
  }

  init(
    _ configuration: any ModelConfiguration, variant: String? = nil,
    preprocessing: Preprocessing? = nil, given: Set<String>
  ) {
    self.configuration = configuration
    self.variant = variant
    self.preprocessing = preprocessing ?? configuration.preprocessing
    self.given = given
  }

  /// Reads `vit_tiny_patch16_224`, `resnet50`, or `vit(image=32,patch=4,…)`.
  ///
  /// - Throws: ``ModelError`` that names what is wrong, with the nearest names.
  public init(_ text: String) throws(ModelError) {
    guard let open = text.firstIndex(of: "(") else {
      self = try Self.variant(named: text)
      return
    }
    let name = String(text[..<open])
    guard text.last == ")" else {
      throw ModelError(
        .badArgument, place: text, found: "no closing parenthesis",
        expected: "FAMILY(name=value,…)")
    }
    guard let family = ModelRegistry.families.first(where: { $0.family == name }) else {
      let known = ModelRegistry.families.map { $0.family }
      throw ModelError(
        .unknownArchitecture, place: text, found: "no family \"\(name)\"",
        expected: "one of " + known.joined(separator: ", "),
        advice: NearMatch.question(name, among: known))
    }
    let inside = text[text.index(after: open)...].dropLast()
    let arguments = try Self.arguments(inside, in: text)
    self.init(try family.parse(arguments), given: Set(arguments.map(\.0)))
  }

  /// The name of the family.
  public var family: String { type(of: configuration).family }

  /// The configuration as text that reads back the same.
  public var text: String { configuration.text }

  private static func variant(named name: String) throws(ModelError) -> Architecture {
    // timm's names may carry the tag of a training recipe: `resnet50.a1_in1k`.
    let base = name.split(separator: ".", maxSplits: 1).first.map(String.init) ?? name
    for family in ModelRegistry.families {
      if let found = find(base, in: family) { return found }
      if let reason = family.reasonAgainst(variant: base) {
        throw ModelError(
          .unknownArchitecture, place: name, found: reason,
          advice: NearMatch.question(base, among: family.variantNames))
      }
    }
    let known = ModelRegistry.families.flatMap { $0.variantNames }
    throw ModelError(
      .unknownArchitecture, place: name, found: "no architecture of that name",
      expected: "a name from the list of models, or a family such as vit(patch=4,dim=192,…)",
      advice: NearMatch.question(base, among: known))
  }

  private static func find<Configuration: ModelConfiguration>(
    _ name: String, in family: Configuration.Type
  ) -> Architecture? {
    family.variants.first { $0.name == name }.map {
      Architecture(
        $0.configuration, variant: $0.name, preprocessing: $0.preprocessing,
        given: Set(
          Configuration.parameters.filter { $0.origin == .weights || $0.name == "image" }
            .map(\.name)))
    }
  }

  /// `name=value` pairs, separated by commas outside of brackets.
  private static func arguments(
    _ text: Substring, in whole: String
  ) throws(ModelError) -> [(String, String)] {
    var parts: [String] = [""]
    var depth = 0
    for character in text {
      if character == "," && depth == 0 {
        parts.append("")
        continue
      }
      if character == "[" { depth += 1 }
      if character == "]" { depth -= 1 }
      if character != " " { parts[parts.count - 1].append(character) }
    }
    if parts == [""] { return [] }
    return try parts.map { part throws(ModelError) in
      guard let equals = part.firstIndex(of: "="), equals != part.startIndex else {
        throw ModelError(
          .badArgument, place: whole, found: "\"\(part)\"", expected: "name=value")
      }
      return (String(part[..<equals]), String(part[part.index(after: equals)...]))
    }
  }
}
