import StrictJSON

/// Reads an object of settings to its last key: what is asked for is handed out, and at the end each key
/// has to have been asked for, or be known to mean nothing here.
struct SettingsReader {
  /// Where the object stands, for errors: `preprocessor_config.json`.
  let place: String
  private let members: [JSONValue.Member]
  private var asked: Set<String> = []

  /// - Parameters:
  ///   - json: an object; anything else has no keys.
  ///   - place: the file, and the key that it stands under.
  init(_ json: JSONValue, place: String) {
    self.place = place
    // null is what Python writes for "not set".
    members = (json.objectValue ?? []).filter { $0.value != .null }
  }

  /// Whether there is such a key.
  func has(_ key: String) -> Bool { members.contains { $0.name == key } }

  /// The value, whatever it is.
  mutating func value(_ key: String) -> JSONValue? {
    asked.insert(key)
    return members.first { $0.name == key }?.value
  }

  /// What `read` makes of the value; nil if there is none.
  ///
  /// - Throws: ``ModelError`` if `read` makes nothing of it.
  mutating func value<Value>(
    _ key: String, _ expected: String, _ read: (JSONValue) -> Value?
  ) throws(ModelError) -> Value? {
    guard let json = value(key) else { return nil }
    guard let value = read(json) else { throw refusal(key, json, expected: expected) }
    return value
  }

  /// A number in a range.
  mutating func number(
    _ key: String, in range: ClosedRange<Double>
  ) throws(ModelError) -> Double? {
    try value(key, "a number of \(range.lowerBound) to \(range.upperBound)") {
      $0.doubleValue.flatMap { range.contains($0) ? $0 : nil }
    }
  }

  /// True or false.
  mutating func flag(_ key: String) throws(ModelError) -> Bool? {
    try value(key, "true or false", \.boolValue)
  }

  /// One of some words.
  mutating func word<Value>(
    _ key: String, _ words: [(name: String, value: Value)]
  ) throws(ModelError) -> Value? {
    try value(key, "one of " + words.map(\.name).joined(separator: ", ")) { json in
      words.first { $0.name == json.stringValue }?.value
    }
  }

  /// Makes sure that every key was asked for, or means nothing here.
  ///
  /// - Throws: ``ModelError`` that names the first other one, with its value.
  func finish(harmless: Set<String>) throws(ModelError) {
    guard
      let stray = members.first(where: {
        !asked.contains($0.name) && !harmless.contains($0.name)
      })
    else { return }
    throw ModelError(
      .unexpected, place: "\(place): \(stray.name)", found: stray.value.compact,
      expected: "a setting that is known here",
      advice: "It may change the numbers; if it does not, take it out of the file")
  }

  /// The error about the value of a key.
  func refusal(_ key: String, _ json: JSONValue, expected: String, advice: String = "")
    -> ModelError
  {
    ModelError(
      .unexpected, place: "\(place): \(key)", found: json.compact, expected: expected,
      advice: advice)
  }
}
