import StrictJSON

/// What figures need to know of a network that no table says: its family, and where its layers stand.
public struct NetworkOutline: Sendable, Equatable {
  /// A layer.
  public struct Layer: Sendable, Equatable {
    /// The name of its tap.
    public let name: String
    /// The stage, from 0, of a network of several resolutions.
    public let stage: Int?
    /// Places of a feature map; nil if there is none.
    public let places: Int?
    /// Whether the value is a map, and not a sequence of tokens.
    public let isMap: Bool
    /// Its place among the residual branches of the network, from 0.
    public let branch: Int?

    /// Makes one from its parts; see the properties.
    public init(
      _ name: String, stage: Int? = nil, places: Int? = nil, isMap: Bool = false,
      branch: Int? = nil
    ) {
      (self.name, self.stage, self.places) = (name, stage, places)
      (self.isMap, self.branch) = (isMap, branch)
    }
  }

  /// The name in tables and figures.
  public let label: String
  /// The architecture family, for colours.
  public let family: String
  /// Those that some analysis looked at, each once.
  public var layers: [Layer]

  /// Makes one from its parts; see the properties.
  public init(label: String, family: String, layers: [Layer] = []) {
    (self.label, self.family, self.layers) = (label, family, layers)
  }

  /// Outlines of the same networks as one.
  public static func merged(_ outlines: [NetworkOutline]) -> [NetworkOutline] {
    outlines.reduce(into: []) { merged, next in
      guard let place = merged.firstIndex(where: { $0.label == next.label }) else {
        merged.append(next)
        return
      }
      let known = Set(merged[place].layers.map(\.name))
      merged[place].layers += next.layers.filter { !known.contains($0.name) }
    }
  }

  /// As `run.json` has it: what does not exist is left out.
  public var json: JSONValue {
    let layers = layers.map { layer -> JSONValue in
      var members = [JSONValue.Member("name", .string(layer.name))]
      if let stage = layer.stage { members.append(.init("stage", .integer(stage))) }
      if let places = layer.places { members.append(.init("places", .integer(places))) }
      if layer.isMap { members.append(.init("is_map", true)) }
      if let branch = layer.branch { members.append(.init("branch", .integer(branch))) }
      return .object(members)
    }
    return [
      "label": .string(label), "family": .string(family), "layers": .array(layers),
    ]
  }

  /// Reads what ``json`` wrote; nil for anything else.
  public init?(_ json: JSONValue) {
    guard let label = json["label"]?.stringValue, let family = json["family"]?.stringValue else {
      return nil
    }
    let layers = (json["layers"]?.arrayValue ?? []).compactMap { layer -> Layer? in
      guard let name = layer["name"]?.stringValue else { return nil }
      return Layer(
        name, stage: layer["stage"]?.intValue, places: layer["places"]?.intValue,
        isMap: layer["is_map"]?.boolValue ?? false,
        branch: layer["branch"]?.intValue.flatMap { (0...1 << 24).contains($0) ? $0 : nil })
    }
    self.init(label: label, family: family, layers: layers)
  }
}
