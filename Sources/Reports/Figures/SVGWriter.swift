/// Text of an SVG document: elements, attributes and escaping, with numbers of fixed decimals.
struct SVGWriter {
  /// A position on the page, in pixels from the top left corner.
  struct Place: Equatable {
    var x: Double
    var y: Double
  }

  enum Anchor: String { case start, middle, end }

  /// How words are set.
  struct Font {
    var size: Double
    var color: Color = .ink
    var bold = false
    var italic = false
  }

  private(set) var text = ""
  private var open: [String] = []

  mutating func begin(_ name: String, _ attributes: [(String, String)] = []) {
    indent()
    text += "<\(name)\(Self.list(attributes))>\n"
    open.append(name)
  }

  mutating func end() {
    guard let name = open.popLast() else { return }
    indent()
    text += "</\(name)>\n"
  }

  /// An element without children, or with a tooltip.
  mutating func element(
    _ name: String, _ attributes: [(String, String)], tooltip: String = ""
  ) {
    indent()
    text += "<\(name)\(Self.list(attributes))"
    text +=
      tooltip.isEmpty ? "/>\n" : "><title>\(tooltip.markup)</title></\(name)>\n"
  }

  /// An element that holds words.
  mutating func words(_ name: String, _ content: String, _ attributes: [(String, String)] = []) {
    indent()
    text += "<\(name)\(Self.list(attributes))>\(content.markup)</\(name)>\n"
  }

  /// A line of text; `turn` in degrees, clockwise about its place.
  mutating func label(
    _ label: Label, at place: Place, _ font: Font, anchor: Anchor = .start, turn: Double = 0
  ) {
    guard !label.isEmpty else { return }
    var attributes = [("x", Self.number(place.x)), ("y", Self.number(place.y))]
    attributes.append(("font-size", Self.number(font.size)))
    attributes.append(("fill", font.color.hex))
    if font.bold { attributes.append(("font-weight", "bold")) }
    if font.italic { attributes.append(("font-style", "italic")) }
    if anchor != .start { attributes.append(("text-anchor", anchor.rawValue)) }
    if turn != 0 {
      attributes.append(
        (
          "transform",
          "rotate(\(Self.number(turn)) \(Self.number(place.x)) \(Self.number(place.y)))"
        ))
    }
    indent()
    text += "<text\(Self.list(attributes))>\(label.base.markup)"
    if !label.superscript.isEmpty {
      let rise = font.size * 0.38
      let size = Self.number(Label.raisedSize(font.size))
      text += "<tspan dy=\"\(Self.number(-rise))\" font-size=\"\(size)\">"
      text += "\(label.superscript.markup)</tspan>"
      if !label.tail.isEmpty {
        text += "<tspan dy=\"\(Self.number(rise))\">\(label.tail.markup)</tspan>"
      }
    }
    text += "</text>\n"
  }

  mutating func line(
    _ from: Place, _ to: Place, color: Color, width: Double, dash: Dash = .solid,
    opacity: Double = 1, tooltip: String = ""
  ) {
    var attributes = [
      ("x1", Self.number(from.x)), ("y1", Self.number(from.y)), ("x2", Self.number(to.x)),
      ("y2", Self.number(to.y)), ("stroke", color.hex), ("stroke-width", Self.number(width)),
    ]
    attributes += Self.dashes(dash, width: width)
    if opacity < 1 { attributes.append(("opacity", Self.number(opacity))) }
    element("line", attributes, tooltip: tooltip)
  }

  static func dashes(_ dash: Dash, width: Double) -> [(String, String)] {
    let unit = max(width, 1)
    let lengths: [Double]
    switch dash {
    case .solid: return []
    case .dashed: lengths = [4 * unit, 2.2 * unit]
    case .dotted: lengths = [1.2 * unit, 1.8 * unit]
    case .dashDotted: lengths = [5 * unit, 1.8 * unit, 1.2 * unit, 1.8 * unit]
    }
    return [("stroke-dasharray", lengths.map(number).joined(separator: " "))]
  }

  /// `M` and `L` commands through the places.
  static func path(_ places: [Place], closed: Bool = false) -> String {
    var text = ""
    for (index, place) in places.enumerated() {
      text += "\(index == 0 ? "M" : "L")\(number(place.x)) \(number(place.y))"
    }
    return closed ? text + "Z" : text
  }

  /// Two decimals are a hundredth of a pixel.
  static func number(_ value: Double) -> String { NumberText.trimmed(value, 2) }

  /// What a script knows an element by, as an attribute; nothing for nil.
  static func key(_ number: Int?, as name: String = "key") -> [(String, String)] {
    number.map { [("data-\(name)", String($0))] } ?? []
  }

  private static func list(_ attributes: [(String, String)]) -> String {
    var text = ""
    for (name, value) in attributes { text += " \(name)=\"\(value.markup)\"" }
    return text
  }

  private mutating func indent() { text += String(repeating: " ", count: open.count) }
}

/// A line of words that may hold one exponent: base, superscript, tail.
struct Label: Sendable, Equatable {
  var base: String
  var superscript = ""
  var tail = ""

  init(_ base: String, superscript: String = "", tail: String = "") {
    self.base = base
    self.superscript = superscript
    self.tail = tail
  }

  /// Text that ends in superscript digits, set as an exponent: common fonts have no superscript minus.
  init(raising text: String) {
    let digits: [Character: Character] = [
      "⁻": "\u{2212}", "⁰": "0", "¹": "1", "²": "2", "³": "3", "⁴": "4", "⁵": "5", "⁶": "6",
      "⁷": "7", "⁸": "8", "⁹": "9",
    ]
    let exponent = text.reversed().prefix { digits[$0] != nil }.reversed()
    base = String(text.dropLast(exponent.count))
    superscript = String(exponent.compactMap { digits[$0] })
  }

  var isEmpty: Bool { base.isEmpty && superscript.isEmpty && tail.isEmpty }

  func width(size: Double, bold: Bool = false) -> Double {
    TextMetrics.width(base + tail, size: size, bold: bold)
      + TextMetrics.width(superscript, size: Self.raisedSize(size), bold: bold)
  }

  /// The size of an exponent beside words of `size` pixels: 6.5 points at least, below which print
  /// cannot be read.
  static func raisedSize(_ size: Double) -> Double { min(size, max(size * 0.72, 6.5 * 96 / 72)) }
}
