import Reports

/// Text of an HTML page. Words from files enter through ``text(_:)`` and ``attribute(_:)`` alone.
struct HTML {
  private(set) var source = ""

  /// Markup of the page's own, as it stands.
  mutating func markup(_ markup: String) { source += markup }

  /// An element of words.
  mutating func element(_ name: String, _ words: String, _ attributes: String = "") {
    source += "<\(name)\(attributes.isEmpty ? "" : " " + attributes)>\(words.markup)</\(name)>"
  }

  /// A row of a table: texts to the left, numbers to the right.
  mutating func row(_ cells: [Cell], attributes: String = "") {
    source += "<tr\(attributes.isEmpty ? "" : " " + attributes)>"
    for cell in cells { source += cell.markup }
    source += "</tr>\n"
  }

  /// The start of a table with its header.
  mutating func table(_ header: [String], class name: String = "", attributes: String = "") {
    source +=
      "<div class=\"scroll\"><table class=\"\(name)\"\(attributes.isEmpty ? "" : " " + attributes)>"
    source += "<thead><tr>"
    for title in header { source += "<th scope=\"col\">\(title.markup)</th>" }
    source += "</tr></thead><tbody>\n"
  }

  mutating func endTable() { source += "</tbody></table></div>\n" }

  /// A cell of a table.
  enum Cell {
    case text(String)
    /// Text of a file, set in letters of one width.
    case code(String)
    /// A whole number as it stands in a table.
    case count(String)
    /// Four digits in the page, all of them for who points at it.
    case number(Double?)
    /// A number with a bar of a share of the greatest magnitude of its column.
    case bar(Double?, share: Double)

    fileprivate var markup: String {
      switch self {
      case .text(let text): return "<td>\(text.markup)</td>"
      case .code(let text): return "<td><code>\(text.markup)</code></td>"
      case .count(let text): return "<td class=\"n\">\(text.markup)</td>"
      case .number(nil), .bar(nil, _): return "<td class=\"n none\">–</td>"
      case .number(let value?):
        return "<td class=\"n\" title=\"\(value)\">\(shown(value))</td>"
      case .bar(let value?, let share):
        let width = NumberText.significant(100 * min(max(share, 0), 1), digits: 3)
        return
          "<td class=\"n\" title=\"\(value)\">\(shown(value))<i class=\"bar\(value < 0 ? " minus" : "")\" "
          + "style=\"width:\(width)%\"></i></td>"
      }
    }
  }
}

/// A count for readers, which stands in a table as any number.
func whole(_ value: Double) -> String { Int(exactly: value).map { String($0) } ?? shown(value) }

/// A number for readers: four digits, a true minus sign.
func shown(_ value: Double) -> String {
  let text = NumberText.significant(value)
  return text.hasPrefix("-") ? "\u{2212}" + text.dropFirst() : text
}
