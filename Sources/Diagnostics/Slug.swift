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
