import Checkpoints
import Diagnostics
import Reports
import StrictJSON
import Tensors

/// What a feature file says of itself: names of its samples, what its layers are, where they come
/// from.
///
/// In a safetensors file the entries are its `__metadata__`; in an `.npz` they are one JSON object in
/// an array of bytes called `__metadata__`. Lists are JSON within an entry. Everything is optional.
struct FeatureMetadata {
  /// A layer as the entry `taps` describes it.
  struct Layer {
    var tap: Tap
    /// Whether the layout was given; otherwise that of `tap` means nothing.
    var hasLayout: Bool
    /// Whether the channels of a map come before its places; nil if that is not said.
    var isChannelsFirst: Bool?
    /// Where it stands in its network; nil if that is not said.
    var position: LayerPosition?
  }

  /// The name of the model in tables and figures.
  var label: String?
  /// The architecture family.
  var family: String?
  /// The architecture.
  var architecture: String?
  /// What the samples are samples of.
  var data: String?
  /// The side of the images in pixels.
  var imageSize: Int?
  /// How images were prepared, as JSON.
  var preprocessing: String?
  /// How exactly products of the model were computed.
  var compute: String?
  /// The names of the samples.
  var ids: [String]?
  /// Their classes.
  var labels: [Int?]?
  /// The layers in order.
  var layers: [Layer]?

  /// The entry `format` of files that were written here.
  static let format = "vitprobe-features"
  /// The array that holds the metadata of an `.npz`.
  static let arrayName = "__metadata__"

  /// Nothing said.
  init() {}

  /// Whether a file says that it holds features.
  static func marks(_ checkpoint: Checkpoint) throws(CheckpointError) -> Bool {
    try entries(of: checkpoint)["format"] == format
  }

  /// What a file says of itself.
  ///
  /// - Throws: `CheckpointError` `.malformed` for an entry that cannot be understood.
  init(_ checkpoint: Checkpoint) throws(CheckpointError) {
    let entries = try Self.entries(of: checkpoint)
    let reader = Reader(file: checkpoint.path)
    label = entries["label"]
    family = entries["family"]
    architecture = entries["architecture"]
    data = entries["data"]
    preprocessing = entries["preprocessing"]
    compute = entries["compute"]
    imageSize = try entries["image_size"].map { text throws(CheckpointError) in
      guard let size = Int(text), (1...1 << 20).contains(size) else {
        throw CheckpointError(
          .malformed, file: checkpoint.path, place: "metadata \"image_size\"",
          found: "\"\(text.prefix(40))\"", expected: "a number of pixels from 1 to \(1 << 20)")
      }
      return size
    }
    ids = try entries["ids"].map { text throws(CheckpointError) in
      try reader.list(text, "ids").map { value throws(CheckpointError) in
        guard let id = value.stringValue else { throw reader.error("ids", value, "a string") }
        return id
      }
    }
    labels = try entries["labels"].map { text throws(CheckpointError) in
      try reader.list(text, "labels").map { value throws(CheckpointError) in
        if case .null = value { return nil }
        guard let label = value.intValue else {
          throw reader.error("labels", value, "a whole number or null")
        }
        return label
      }
    }
    layers = try entries["taps"].map { text throws(CheckpointError) in
      try reader.list(text, "taps").map { value throws(CheckpointError) in try reader.layer(value) }
    }
  }

  private static func entries(
    of checkpoint: Checkpoint
  ) throws(CheckpointError) -> [String: String] {
    guard let array = checkpoint[arrayName], array.dtype == .uint8, array.shape.count == 1 else {
      return checkpoint.metadata
    }
    let place = "array \"\(arrayName)\""
    let payload = try array.payload()
    let value = try payload.withBytes { bytes throws(CheckpointError) in
      try JSONValue.parse(bytes, file: checkpoint.path)
    }
    var entries: [String: String] = [:]
    for member in value.objectValue ?? [] {
      guard let text = member.value.stringValue else {
        throw CheckpointError(
          .malformed, file: checkpoint.path, place: "\(place), entry \"\(member.name)\"",
          found: member.value.kindName, expected: "a string")
      }
      entries[member.name] = text
    }
    return entries
  }

  /// The entries to be written.
  var entries: [String: String] {
    var entries = ["format": Self.format, "format_version": "1"]
    entries["label"] = label
    entries["family"] = family
    entries["architecture"] = architecture
    entries["data"] = data
    entries["preprocessing"] = preprocessing
    entries["compute"] = compute
    entries["image_size"] = imageSize.map(String.init)
    entries["ids"] = ids.map { JSONValue.array($0.map(JSONValue.string)).compact }
    entries["labels"] = labels.map {
      JSONValue.array($0.map { $0.map(JSONValue.integer) ?? .null }).compact
    }
    entries["taps"] = layers.map { layers in
      JSONValue.array(layers.enumerated().map { Self.json($1, index: $0) }).compact
    }
    return entries
  }

  private static func json(_ layer: Layer, index: Int) -> JSONValue {
    let tap = layer.tap
    var members: [JSONValue.Member] = [
      .init("name", .string(tap.name)), .init("index", .integer(index)),
      .init("kind", .string(tap.kind.rawValue)),
      .init("stage", tap.stage.map(JSONValue.integer) ?? .null),
      .init(
        "roles",
        .array(roleNames.filter { tap.roles.contains($0.role) }.map { .string($0.name) })),
    ]
    if let position = layer.position {
      members.append(
        .init(
          "position",
          [
            "index": .integer(position.index),
            "block": position.block.map(JSONValue.integer) ?? .null,
            "sequence": position.sequence.map(JSONValue.integer) ?? .null,
            "depth": .real(position.depth),
          ]))
    }
    switch tap.layout {
    case .tokens(let height, let width, let prefix):
      members += [
        .init("layout", "tokens"), .init("axes", "NTC"), .init("height", .integer(height)),
        .init("width", .integer(width)), .init("prefix_tokens", .integer(prefix)),
      ]
    case .featureMap: members += [.init("layout", "map"), .init("axes", "NCHW")]
    case .vector: members += [.init("layout", "vector"), .init("axes", "NC")]
    case .unknown: members.append(.init("layout", "unknown"))
    case .connections(let connections): members += connections.members
    }
    return .object(members)
  }

  private static let roleNames: [(name: String, role: Tap.Roles)] = [
    ("sequence", .sequence), ("block", .block),
  ]

  /// Reads entries and says which one is wrong.
  private struct Reader {
    let file: String

    func error(_ entry: String, _ found: JSONValue?, _ expected: String) -> CheckpointError {
      CheckpointError(
        .malformed, file: file, place: "metadata \"\(entry)\"",
        found: found?.kindName ?? "nothing", expected: expected)
    }

    func list(_ text: String, _ entry: String) throws(CheckpointError) -> [JSONValue] {
      var text = text
      let value = try text.withUTF8 { bytes in
        Result { () throws(CheckpointError) in
          try JSONValue.parse(UnsafeRawBufferPointer(bytes), file: "\(file): metadata \"\(entry)\"")
        }
      }.get()
      guard let list = value.arrayValue else { throw error(entry, value, "a JSON list") }
      return list
    }

    func layer(_ value: JSONValue) throws(CheckpointError) -> Layer {
      guard let name = value["name"]?.stringValue else {
        throw error("taps", value["name"], "an object with a \"name\" for each layer")
      }
      func choice<T: RawRepresentable & CaseIterable>(
        _ key: String, _ type: T.Type
      ) throws(CheckpointError) -> T? where T.RawValue == String {
        guard let text = value[key]?.stringValue else { return nil }
        guard let result = T(rawValue: text) else {
          throw CheckpointError(
            .malformed, file: file, place: "metadata \"taps\", \(key) of \"\(name)\"",
            found: "\"\(text)\"",
            expected: "one of " + T.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return result
      }
      var roles: Tap.Roles = value["roles"] == nil ? [.sequence, .block] : []
      for role in value["roles"]?.arrayValue ?? [] {
        guard let known = roleNames.first(where: { $0.name == role.stringValue }) else {
          throw error("taps", role, "roles of \"\(name)\" among sequence, block")
        }
        roles.insert(known.role)
      }
      let kind = try choice("kind", Tap.Kind.self) ?? .other
      let shape = try choice("layout", LayoutName.self)
      let axes = try choice("axes", Axes.self)
      func extent(_ key: String, atLeast least: Int) throws(CheckpointError) -> Int {
        guard let number = value[key]?.intValue, number >= least else {
          throw error("taps", value[key], "a \"\(key)\" of at least \(least) for \"\(name)\"")
        }
        return number
      }
      let layout: Tap.Layout
      switch shape {
      case nil, .vector: layout = .vector
      case .map: layout = .featureMap
      case .unknown: layout = .unknown
      case .tokens:
        layout = .tokens(
          height: try extent("height", atLeast: 1), width: try extent("width", atLeast: 1),
          prefix: try extent("prefix_tokens", atLeast: 0))
      case .attention, .connections:
        _ = try (
          extent("height", atLeast: 1), extent("width", atLeast: 1),
          extent("prefix_tokens", atLeast: 0)
        )
        guard let connections = Connections(value, hasSupport: shape == .connections) else {
          throw error(
            "taps", value["connections"] ?? value["declared"],
            "\"connections\" and \"declared\" of \"\(name)\" as this program writes them")
        }
        layout = .connections(connections)
      }
      return Layer(
        tap: Tap(name, kind, layout: layout, stage: value["stage"]?.intValue, roles: roles),
        hasLayout: shape != nil,
        isChannelsFirst: axes.flatMap { $0 == .nchw ? true : $0 == .nhwc ? false : nil },
        position: try position(value["position"], of: name))
    }

    private func position(
      _ value: JSONValue?, of name: String
    ) throws(CheckpointError) -> LayerPosition? {
      guard let value else { return nil }
      func count(_ key: String) -> Int? { value[key]?.intValue }
      guard let index = count("index"), let depth = value["depth"]?.doubleValue,
        [index, count("block") ?? 0, count("sequence") ?? 0].allSatisfy({ $0 >= 0 }),
        (0...1).contains(depth)
      else {
        throw error(
          "taps", value, "a position of \"\(name)\" with an index and a depth from 0 to 1")
      }
      return LayerPosition(
        index: index, block: count("block"), sequence: count("sequence"), depth: depth)
    }

    private enum LayoutName: String, CaseIterable {
      case tokens, map, vector, attention, connections, unknown
    }
    private enum Axes: String, CaseIterable {
      case ntc = "NTC"
      case nchw = "NCHW"
      case nhwc = "NHWC"
      case nc = "NC"
    }
  }
}
