/// A strict scan of an XML document as our drawings use it: elements, attributes, the five
/// predefined entities. Anything else is an error.
struct XMLScanner {
  struct Failure: Error, CustomStringConvertible { let description: String }

  struct Element {
    var name: String
    var attributes: [String: String]
    var parent: String?
    var text = ""
  }

  private let scalars: [Unicode.Scalar]
  private var index = 0
  private var open: [Int] = []
  private(set) var elements: [Element] = []

  init(_ text: String) throws {
    scalars = Array(text.unicodeScalars)
    try scan()
  }

  private mutating func scan() throws {
    while index < scalars.count {
      if scalars[index] == "<" {
        if peek(1) == "/" { try closing() } else { try opening() }
      } else {
        let piece = try characters(until: "<")
        if let last = open.last {
          elements[last].text += piece
        } else if !piece.allSatisfy(\.isWhitespace) {
          throw fail("text outside the root")
        }
      }
    }
    guard open.isEmpty else { throw fail("unclosed \(elements[open[0]].name)") }
    guard elements.filter({ $0.parent == nil }).count == 1 else { throw fail("one root") }
  }

  private func fail(_ reason: String) -> Failure {
    let start = max(0, index - 30)
    let context = String(
      String.UnicodeScalarView(scalars[start..<min(scalars.count, index + 30)]))
    return Failure(description: "\(reason) near \(context)")
  }

  private func peek(_ offset: Int) -> Unicode.Scalar? {
    index + offset < scalars.count ? scalars[index + offset] : nil
  }

  private mutating func name() throws -> String {
    var name = String.UnicodeScalarView()
    while let scalar = peek(0),
      scalar.properties.isAlphabetic || "0123456789-:_.".unicodeScalars.contains(scalar)
    {
      name.append(scalar)
      index += 1
    }
    guard let first = name.first, first.properties.isAlphabetic else { throw fail("a name") }
    return String(name)
  }

  private mutating func skipSpace() {
    while let scalar = peek(0), scalar == " " || scalar == "\n" { index += 1 }
  }

  private mutating func opening() throws {
    index += 1
    let name = try name()
    var attributes: [String: String] = [:]
    while true {
      let hadSpace = peek(0) == " "
      skipSpace()
      if peek(0) == ">" || peek(0) == "/" { break }
      guard hadSpace else { throw fail("a space before an attribute") }
      let key = try self.name()
      guard peek(0) == "=", peek(1) == "\"" else { throw fail("=\"") }
      index += 2
      let value = try characters(until: "\"")
      guard peek(0) == "\"" else { throw fail("a closing quote") }
      index += 1
      guard attributes.updateValue(value, forKey: key) == nil else {
        throw fail("a repeated attribute \(key)")
      }
    }
    elements.append(
      Element(name: name, attributes: attributes, parent: open.last.map { elements[$0].name }))
    if peek(0) == "/" {
      index += 1
    } else {
      open.append(elements.count - 1)
    }
    guard peek(0) == ">" else { throw fail(">") }
    index += 1
  }

  private mutating func closing() throws {
    index += 2
    let name = try name()
    guard peek(0) == ">" else { throw fail(">") }
    index += 1
    guard let last = open.popLast(), elements[last].name == name else {
      throw fail("a stray </\(name)>")
    }
  }

  private mutating func characters(until end: Unicode.Scalar) throws -> String {
    var text = String.UnicodeScalarView()
    while let scalar = peek(0), scalar != end {
      switch scalar {
      case "&":
        let entities: [(String, Unicode.Scalar)] = [
          ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"),
        ]
        let rest = String(
          String.UnicodeScalarView(scalars[index..<min(index + 6, scalars.count)]))
        guard let entity = entities.first(where: { rest.hasPrefix($0.0) }) else {
          throw fail("an entity")
        }
        text.append(entity.1)
        index += entity.0.count
        continue
      case "<", ">": throw fail("a raw \(scalar)")
      case _ where scalar.value < 0x20 && scalar != "\n": throw fail("a control character")
      case "\u{FFFE}", "\u{FFFF}": throw fail("a non-character")
      default: text.append(scalar)
      }
      index += 1
    }
    return String(text)
  }
}
