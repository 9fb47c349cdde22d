extension Plan {
  /// The subjects' labels as parts of file names, no two the same.
  var slugs: [String] {
    var taken: Set<String> = []
    return subjects.map { subject in
      let name = slug(subject.label)
      var candidate = name
      var number = 2
      while !taken.insert(candidate).inserted {
        candidate = "\(name)-\(number)"
        number += 1
      }
      return candidate
    }
  }
}

/// A label as a part of a file name: letters, digits, `.`, `_` and `-`.
public func slug(_ label: String) -> String {
  let safe = label.map { character in
    character.isASCII
      && (character.isLetter || character.isNumber || "._-".contains(character))
      ? character : "-"
  }
  let text = String(safe)
  return text.isEmpty || text.allSatisfy({ $0 == "." }) ? "model" : text
}
