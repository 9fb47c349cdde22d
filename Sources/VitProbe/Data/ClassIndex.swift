import DurableFiles
import StrictJSON

/// A file that says which output of a head a name is.
///
/// - JSON as Keras's `imagenet_class_index.json`, `{"0": ["n01440764", "tench"]}`; `{"0": "tench"}`;
///   `{"tench": 0}`, as torchvision's `class_to_idx`; or a list of names in order; each also under
///   `id2label`, `label2id` or `class_to_idx`;
/// - or text, one name a line in order, as `synset_words.txt`.
public struct ClassIndex: Sendable {
  /// The path of the file.
  let file: String
  let names: ClassNames

  /// Most bytes of such a file.
  private static let limit = 1 << 24
  /// Most classes of a head.
  private static let largest = 1 << 24

  /// Reads a file.
  ///
  /// - Throws: ``VitProbeError`` that says what is there instead.
  init(reading path: String) throws {
    guard let bytes = try RegularFile.contents(path, limit: Self.limit) else {
      throw VitProbeError(.noInput, "\(path): there is no such file")
    }
    file = path
    func wrong(_ found: String) -> VitProbeError {
      VitProbeError(
        .badData,
        "\(path): \(found); expected {\"0\": [\"n01440764\", \"tench\"]}, {\"tench\": 0}, a list of "
          + "names, or one name a line")
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw wrong("bytes that are not UTF-8")
    }
    let first = text.first { !$0.isWhitespace }
    var entries: [Int: ClassNames.Entry] = [:]
    func add(_ name: String, as number: Int) throws {
      guard (0...Self.largest).contains(number) else { throw wrong("the class number \(number)") }
      let entry = ClassNames.Entry(name)
      entries[number, default: .init(names: [], synonyms: [])].names += entry.names
      entries[number]?.synonyms += entry.synonyms
    }
    if first == "{" || first == "[" {
      let document: JSONValue
      do {
        document = try JSONValue(parsing: bytes)
      } catch {
        throw wrong("\(error)")
      }
      let inner = ["id2label", "label2id", "class_to_idx"].lazy.compactMap { document[$0] }.first
      let members: [(String, JSONValue)] =
        (inner ?? document).objectValue.map { $0.map { ($0.name, $0.value) } }
        ?? (inner ?? document).arrayValue?.enumerated().map { ("\($0)", $1) } ?? []
      for (key, value) in members {
        if let number = value.intValue, (inner ?? document).arrayValue == nil {
          try add(key, as: number)
        } else if let number = Int(key) {
          let names =
            value.stringValue.map { [$0] } ?? value.arrayValue?.compactMap(\.stringValue) ?? []
          if names.isEmpty { throw wrong("\(value.kindName) under \"\(key)\"") }
          for name in names { try add(name, as: number) }
        } else {
          throw wrong("\(value.kindName) under \"\(key)\"")
        }
      }
    } else {
      let lines = text.split(whereSeparator: \.isNewline).map { line in
        String(line.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
      }
      for (number, line) in lines.filter({ !$0.isEmpty }).enumerated() { try add(line, as: number) }
    }
    guard !entries.isEmpty else { throw wrong("no class") }
    names = ClassNames(entries)
  }
}
