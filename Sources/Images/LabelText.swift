/// The lines of a label file: one label each, or the two columns `id,label`.
struct LabelText {
  private let file: String
  private var rows: [(line: Int, id: String?, label: String)] = []

  init(_ bytes: [UInt8], file: String) throws(ImageDataError) {
    self.file = file
    var bytes = bytes[...]
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
    let newline = UInt8(ascii: "\n")
    var isTable = false
    var columns = 0
    for (i, line) in bytes.split(separator: newline, omittingEmptySubsequences: false).enumerated()
    {
      let content = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
      if content.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }) { continue }
      guard let text = String(validating: content, as: UTF8.self) else {
        throw ImageDataError(
          .damaged, file: file, place: "line \(i + 1)", found: "bytes that are not UTF-8",
          expected: "one label a line, or id,label")
      }
      if columns == 0 { isTable = content.contains(UInt8(ascii: ",")) }
      guard isTable else {
        columns = 1
        rows.append((i + 1, nil, LabelText.trimmed(text)))
        continue
      }
      let fields = LabelText.fields(text)
      guard fields.count == 2 else {
        throw ImageDataError(
          .damaged, file: file, place: "line \(i + 1)", found: "\(fields.count) columns",
          expected: "2: id,label", advice: "Put a name that contains a comma in double quotes")
      }
      let isHeader = ["label", "class", "target", "class_name"].contains(fields[1].lowercased())
      if columns > 0 || !isHeader { rows.append((i + 1, fields[0], fields[1])) }
      columns = 2
    }
  }

  /// The labels in the source's order.
  func labels(for source: any ImageSource) throws(ImageDataError) -> [String] {
    guard rows.contains(where: { $0.id != nil }) else { return rows.map(\.label) }
    var byID: [[UInt8]: String] = [:]
    for row in rows {
      guard byID.updateValue(row.label, forKey: Array((row.id ?? "").utf8)) == nil else {
        throw ImageDataError(
          .damaged, file: file, place: "line \(row.line)", found: "\(row.id ?? "") once more",
          expected: "one line an image")
      }
    }
    var labels: [String] = []
    labels.reserveCapacity(source.count)
    for i in 0..<source.count {
      let id = source.id(i)
      guard let label = byID[Array(id.utf8)] else {
        throw ImageDataError(
          .mismatch, file: file, found: "no label for \(id)",
          expected: "a line for each of the \(source.count) images",
          advice: "An id is the path below the data folder, or file#index")
      }
      labels.append(label)
    }
    return labels
  }

  /// The columns of a line, as RFC 4180 quotes them.
  private static func fields(_ line: String) -> [String] {
    var fields: [[UInt8]] = [[]]
    let (quote, comma) = (UInt8(ascii: "\""), UInt8(ascii: ","))
    var isQuoted = false
    var wasQuote = false
    for byte in line.utf8 {
      if byte == quote {
        // A quote right after a closing one stands for itself.
        if !isQuoted && wasQuote { fields[fields.count - 1].append(quote) }
        isQuoted.toggle()
        wasQuote = !isQuoted
        continue
      }
      wasQuote = false
      if byte == comma && !isQuoted {
        fields.append([])
      } else {
        fields[fields.count - 1].append(byte)
      }
    }
    return fields.map { trimmed(String(decoding: $0, as: UTF8.self)) }
  }

  private static func trimmed(_ text: String) -> String {
    let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
    let head = text.drop(while: isBlank)
    return String(head.reversed().drop(while: isBlank).reversed())
  }
}
