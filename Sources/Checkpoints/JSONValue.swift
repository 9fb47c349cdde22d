/// A JSON document as data. Integers that fit 64 bits stay exact; every other number is a Double.
public enum JSONValue: Sendable, Equatable {
  /// `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A number written without fraction or exponent that fits 64 bits.
  case integer(Int)
  /// Any other number.
  case double(Double)
  /// Text.
  case string(String)
  /// A list.
  case array([JSONValue])
  /// Named values.
  case object(JSONObject)

  /// The member of an object by that name; nil for other kinds of value.
  public subscript(name: String) -> JSONValue? { objectValue?[name] }

  /// The members, if this is an object.
  public var objectValue: JSONObject? { if case .object(let value) = self { value } else { nil } }
  /// The elements, if this is a list.
  public var arrayValue: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
  /// The text, if this is a string.
  public var stringValue: String? { if case .string(let value) = self { value } else { nil } }
  /// The number, if this is an integer that fits 64 bits.
  public var intValue: Int? { if case .integer(let value) = self { value } else { nil } }
  /// The truth value, if this is one.
  public var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// The number, if this is one.
  public var doubleValue: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }

  /// What kind of value this is, for messages: "a string", "an object" …
  public var kindName: String {
    switch self {
    case .null: "null"
    case .bool: "true or false"
    case .integer: "an integer"
    case .double: "a number that is not a 64-bit integer"
    case .string: "a string"
    case .array: "a list"
    case .object: "an object"
    }
  }

  /// Reads the JSON file at `path` (at most 16 MiB).
  ///
  /// - Throws: ``CheckpointError`` for a file that cannot be read or breaks the rules.
  public static func read(path: String) throws(CheckpointError) -> JSONValue {
    let file = try MappedFile(path: path)
    return try withExtendedLifetime(file) { () throws(CheckpointError) in
      try parse(file.bytes, file: path, limits: JSONLimits(bytes: 16 << 20))
    }
  }

  /// Parses one JSON document that fills `bytes`.
  ///
  /// Strict: valid UTF-8 without byte order mark, no name twice in an object, no comments, no
  /// trailing commas, no NaN.
  ///
  /// - Parameters:
  ///   - bytes: the text.
  ///   - file: the name that errors carry.
  ///   - offset: where `bytes` starts in that file, for the positions in errors.
  ///   - limits: bounds on size and depth.
  public static func parse(
    _ bytes: UnsafeRawBufferPointer, file: String, offset: Int = 0,
    limits: JSONLimits = JSONLimits()
  ) throws(CheckpointError) -> JSONValue {
    var parser = JSONParser(bytes: bytes, file: file, offset: offset, limits: limits)
    return try parser.document()
  }
}

/// The members of a JSON object in the order of the file; names are distinct.
public struct JSONObject: Sendable, Equatable {
  /// One named value.
  public struct Member: Sendable, Equatable {
    /// The name.
    public let name: String
    /// The value.
    public let value: JSONValue
  }

  /// All members in order.
  public let members: [Member]
  private let places: [String: Int]?

  init(members: [Member], places: [String: Int]?) {
    self.members = members
    self.places = places
  }

  /// The value by that name.
  public subscript(name: String) -> JSONValue? {
    if let places { return places[name].map { members[$0].value } }
    return members.first { $0.name == name }?.value
  }
}

/// Bounds on a JSON document, against files made to exhaust memory or the stack.
public struct JSONLimits: Sendable {
  /// Length of the text.
  public var bytes: Int
  /// Depth of nested lists and objects.
  public var depth: Int
  /// Number of values of all kinds.
  public var values: Int

  /// The given bounds; 100 MB, 64 levels and 4 million values by default.
  public init(bytes: Int = 100_000_000, depth: Int = 64, values: Int = 4_000_000) {
    self.bytes = bytes
    self.depth = depth
    self.values = values
  }
}
