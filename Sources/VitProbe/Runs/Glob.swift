import Models

/// A pattern on names: `*` stands for any run of characters, `?` for one, `[abc]`, `[a-z]` and
/// `[!a]` for one of a set.
public struct Glob: Sendable, Hashable {
  private enum Element: Hashable {
    case any
    case one
    case literal(Character)
    case set([ClosedRange<Character>], negated: Bool)

    func matches(_ character: Character) -> Bool {
      switch self {
      case .any, .one: true
      case .literal(let wanted): character == wanted
      case .set(let ranges, let negated): ranges.contains { $0.contains(character) } != negated
      }
    }
  }
  private let elements: [Element]

  /// A pattern.
  public init(_ pattern: String) {
    var elements: [Element] = []
    var rest = pattern[...]
    while let character = rest.popFirst() {
      switch character {
      case "*": if elements.last != .any { elements.append(.any) }
      case "?": elements.append(.one)
      case "[":
        guard let end = rest.dropFirst().firstIndex(of: "]") else {
          elements.append(.literal(character))
          continue
        }
        var body = rest[..<end]
        rest = rest[rest.index(after: end)...]
        let negated = body.first == "!"
        if negated { body.removeFirst() }
        var ranges: [ClosedRange<Character>] = []
        while let low = body.popFirst() {
          if body.first == "-", let high = body.dropFirst().first, low <= high {
            body.removeFirst(2)
            ranges.append(low...high)
          } else {
            ranges.append(low...low)
          }
        }
        elements.append(.set(ranges, negated: negated))
      default: elements.append(.literal(character))
      }
    }
    self.elements = elements
  }

  /// Whether the whole of `text` fits the pattern.
  public func matches(_ text: String) -> Bool {
    let characters = Array(text)
    // The last star and where its run began: on a mismatch the run grows by one.
    var (at, place) = (0, 0)
    var star: (element: Int, place: Int)?
    while place < characters.count {
      if at < elements.count, elements[at] == .any {
        star = (at, place)
        at += 1
      } else if at < elements.count, elements[at].matches(characters[place]) {
        at += 1
        place += 1
      } else if let last = star {
        star = (last.element, last.place + 1)
        at = last.element + 1
        place = last.place + 1
      } else {
        return false
      }
    }
    return elements[at...].allSatisfy { $0 == .any }
  }
}

/// Names that a list of globs chooses: those that match; with `!` in front, what is left out. In order,
/// the last that matches decides; without a glob that chooses, all are chosen at first.
struct NameSelection {
  private let globs: [(text: String, pattern: Glob, excludes: Bool)]

  init(_ texts: [String]) {
    globs = texts.map { text in
      let excludes = text.hasPrefix("!")
      return (text, Glob(excludes ? String(text.dropFirst()) : text), excludes)
    }
  }

  /// Whether a name is chosen.
  func includes(_ name: String) -> Bool {
    globs.reduce(globs.first?.excludes ?? true) { included, glob in
      glob.pattern.matches(name) ? !glob.excludes : included
    }
  }

  /// ". Did you mean …?" for a glob that matches none of the names: those that begin, or else end, much as
  /// it does; empty if there are none.
  static func question(_ glob: String, among names: [String]) -> String {
    func isLiteral(_ character: Character) -> Bool { !"*?[".contains(character) }
    let text = glob.hasPrefix("!") ? glob.dropFirst() : glob[...]
    let (start, end) = (text.prefix(while: isLiteral), text.reversed().prefix(while: isLiteral))
    let near =
      !start.isEmpty
      ? NearMatch.names(near: String(start), among: names)
      : NearMatch.names(near: String(end), among: names.map { String($0.reversed()) })
        .map { String($0.reversed()) }
    return near.isEmpty ? "" : ". Did you mean \(near.joined(separator: ", "))?"
  }

  /// The first glob, as it was written, that matches none of the names.
  func firstUnmatched(in names: [String]) -> String? {
    globs.first { glob in !names.contains(where: glob.pattern.matches) }?.text
  }
}
