import Reports
import StrictJSON

/// The first place where two documents of settings differ.
struct SettingsDifference: Equatable {
  /// As in `analyses[cka].configuration.estimator`.
  let place: String
  let first: String
  let second: String

  /// Nil if both are the same.
  init?(_ first: JSONValue, _ second: JSONValue) {
    guard let found = Self.find(first, second, at: "") else { return nil }
    self = found
  }

  private init(_ place: String, _ first: JSONValue?, _ second: JSONValue?) {
    self.place = place
    self.first = Self.short(first)
    self.second = Self.short(second)
  }

  private static func short(_ value: JSONValue?) -> String {
    guard let value else { return "nothing" }
    let text = value.compact
    return text.count > 80 ? text.prefix(77) + "…" : text
  }

  private static func find(_ a: JSONValue, _ b: JSONValue, at place: String) -> Self? {
    if a == b { return nil }
    switch (a, b) {
    case (.object(let one), .object(let other)):
      // What a user sets stands in the leaves; whatever follows from it stands deeper.
      let keys = Set(one.map(\.name)).union(other.map(\.name)).sorted()
      let leaves = keys.filter { a[$0].map(isLeaf) ?? true && b[$0].map(isLeaf) ?? true }
      let inner = keys.filter { !leaves.contains($0) }.reversed()
      for key in leaves + inner {
        let path = place.isEmpty ? key : "\(place).\(key)"
        guard let left = a[key], let right = b[key] else { return Self(path, a[key], b[key]) }
        if let found = find(left, right, at: path) { return found }
      }
      return Self(place, a, b)
    case (.array(let one), .array(let other)):
      guard one.count == other.count else {
        return Self("the length of \(place)", .integer(one.count), .integer(other.count))
      }
      for (index, pair) in zip(one, other).enumerated() {
        let names = [pair.0, pair.1].map { $0["name"]?.stringValue ?? $0["label"]?.stringValue }
        let name = names[0] == names[1] ? names[0] : nil
        if let found = find(pair.0, pair.1, at: "\(place)[\(name ?? "\(index)")]") { return found }
      }
      return Self(place, a, b)
    default: return Self(place, a, b)
    }
  }

  private static func isLeaf(_ value: JSONValue) -> Bool {
    switch value {
    case .array, .object: false
    default: true
    }
  }
}
