import Checkpoints
import StrictJSON

/// The classes of a head in order, to be found by what they are called.
struct ClassNames: Sendable {
  /// One class.
  struct Entry: Sendable {
    /// What it is called.
    var names: [String]
    /// Lists of further names, separated by commas, by which it is found where no name fits.
    var synonyms: [String] = []

    /// A name that may be a list of synonyms, as in `tench, Tinca tinca`, or begin with a WordNet id.
    init(_ text: String) {
      names = [text]
      synonyms = [text]
      if let id = ClassNames.wordNetID(text) {
        names.append(id)
        synonyms = [String(text.dropFirst(id.count))]
      }
    }

    init(names: [String], synonyms: [String]) {
      self.names = names
      self.synonyms = synonyms
    }
  }

  /// The number of classes.
  let count: Int
  /// From names to classes, the best reading first; nil where several classes are called so.
  private let readings: [[String: Int?]]

  /// Classes by their numbers.
  init(_ entries: [Int: Entry]) {
    func index(_ keys: (Entry) -> [String]) -> [String: Int?] {
      var index: [String: Int?] = [:]
      for (number, entry) in entries {
        for key in Set(keys(entry)) where !key.isEmpty {
          index[key] = .some(index[key] == nil ? number : nil)
        }
      }
      return index
    }
    count = (entries.keys.max() ?? -1) + 1
    readings = [
      index(\.names), index { $0.names.map(Self.plain) },
      index {
        $0.synonyms.flatMap { [$0] + $0.split(separator: ",").map(String.init) }.map(Self.plain)
      },
    ]
  }

  /// Classes in order.
  init(_ entries: [Entry]) {
    self.init(Dictionary(uniqueKeysWithValues: zip(0..., entries)))
  }

  /// The class of that name: as it stands; else in lower case, all but letters and digits taken for
  /// spaces; else among the synonyms; else by a WordNet id that the name begins with. Nil where no class
  /// is called so, or several.
  func callAsFunction(_ name: String) -> Int? {
    let plain = Self.plain(name)
    for (reading, key) in zip(readings, [name, plain, plain]) {
      if let found = reading[key] { return found }
    }
    return Self.wordNetID(name).flatMap { readings[0][$0] } ?? nil
  }

  private static func plain(_ name: String) -> String {
    name.lowercased().split { !($0.isLetter || $0.isNumber) }.joined(separator: " ")
  }

  /// `n` and eight digits at the start of a text that goes on with something else.
  private static func wordNetID(_ text: String) -> String? {
    let head = text.utf8.prefix(9)
    let next = text.utf8.dropFirst(9).first
    func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }
    guard head.count == 9, head.first == UInt8(ascii: "n"), head.dropFirst().allSatisfy(isDigit),
      let next, next < 128, !isDigit(next)
    else { return nil }
    return String(text.prefix(9))
  }
}

extension Checkpoint {
  /// What the outputs of its head are called, by its own word: `classes` of its metadata, `id2label` of
  /// a Hugging Face `config.json`, `label_names` of timm's; empty if it does not say.
  var classNames: [String] {
    func list(_ value: JSONValue?) -> [String] {
      if let names = value?.arrayValue { return names.compactMap(\.stringValue) }
      guard let members = value?.objectValue else { return [] }
      var names: [Int: String] = [:]
      for member in members {
        if let number = Int(member.name), let name = member.value.stringValue {
          names[number] = name
        } else if let number = member.value.intValue {
          names[number] = member.name
        }
      }
      let ordered = (0..<names.count).compactMap { names[$0] }
      return ordered.count == members.count ? ordered : []
    }
    let metadata = self.metadata["classes"].flatMap {
      try? JSONValue(parsing: Array($0.utf8), limits: JSONLimits(bytes: 1 << 22))
    }
    let candidates = [
      metadata, config?["id2label"], config?["label_names"],
      config?["pretrained_cfg"]?["label_names"], config?["label2id"],
    ]
    // Hugging Face fills in LABEL_0, LABEL_1 … where nobody named anything.
    return candidates.lazy.map(list).first { names in
      !names.isEmpty && !names.enumerated().allSatisfy { $1 == "LABEL_\($0)" }
    } ?? []
  }
}
