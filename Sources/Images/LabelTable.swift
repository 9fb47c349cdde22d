/// Labels of all images of a source, in its order.
public struct LabelTable: Sendable, Hashable {
  /// The class of each image.
  public let labels: [Int]
  /// Names of the classes by label; empty if the labels were numbers.
  public let classNames: [String]
  /// The file they came from, for messages.
  public let file: String
  let input: InputFile?

  /// Labels from elsewhere.
  public init(_ labels: [Int], classNames: [String] = [], file: String = "labels") {
    self.init(labels, classNames: classNames, file: file, input: nil)
  }

  init(_ labels: [Int], classNames: [String], file: String, input: InputFile?) {
    self.labels = labels
    self.classNames = classNames
    self.file = file
    self.input = input
  }

  /// Reads the labels of `source` from the file at `path`, which is one of
  /// - IDX labels (`.gz` too), one for each image in the source's order;
  /// - text, one label a line in the source's order;
  /// - CSV of two columns, `id,label`, in any order; a first row that says so is passed over, and
  ///   rows for images that the source does not have are too.
  ///
  /// Labels are numbers from 0 on; if any is not a number, all are class names, which are numbered as
  /// the source numbers them or, if it does not, in their bytewise order.
  ///
  /// - Throws: `notFound`, `unreadable`, `damaged`; `mismatch` if images and labels do not match.
  public init(
    reading path: String, for source: any ImageSource, limits: ImageLimits = ImageLimits()
  ) throws(ImageDataError) {
    let rawPath = RawPath(path)
    let file = try DataFile(rawPath, name: path)
    let head = try file.bytes(at: 0, upTo: 6)
    let input = InputFile(rawPath)
    if head.starts(with: [0x1F, 0x8B]) || head.starts(with: [0, 0, 8]) {
      let labels = try IDXImages.readLabels(rawPath, limits: limits).map(Int.init)
      self.init(labels, classNames: source.classNames, file: path, input: input)
    } else if head.starts(with: [0x93] + Array("NUMPY".utf8)) {
      throw ImageDataError(
        .unsupported, file: path, found: "a NumPy array", expected: "text, CSV or IDX labels",
        advice: "Write it as text: numpy.savetxt(\"labels.txt\", labels, fmt=\"%d\")")
    } else {
      guard file.size <= limits.encodedBytes else {
        throw ImageDataError(
          .tooLarge, file: path, found: "\(file.size) bytes",
          expected: "at most \(limits.encodedBytes)")
      }
      let bytes = try file.bytes(at: 0, exactly: file.size)
      let words = try LabelText(bytes, file: path).labels(for: source)
      let (labels, names) = try LabelTable.numbers(words, source.classNames, file: path)
      self.init(labels, classNames: names, file: path, input: input)
    }
    guard labels.count == source.count else {
      throw ImageDataError(
        .mismatch, file: path, found: "\(labels.count) labels",
        expected: "\(source.count), one for each image")
    }
  }

  private static func numbers(
    _ words: [String], _ known: [String], file: String
  ) throws(ImageDataError) -> ([Int], [String]) {
    let numbers = words.map { Int($0) }
    if let first = numbers.firstIndex(where: { $0 == nil }) {
      // Names are compared byte by byte: two spellings of one text are two classes.
      let keys = words.map { Array($0.utf8) }
      let names: [[UInt8]] =
        known.isEmpty ? Set(keys).sorted(by: bytewiseLess) : known.map { Array($0.utf8) }
      var index: [[UInt8]: Int] = [:]
      for (i, name) in names.enumerated() { index[name] = index[name] ?? i }
      var labels: [Int] = []
      labels.reserveCapacity(keys.count)
      for (i, key) in keys.enumerated() {
        guard let label = index[key] else {
          throw ImageDataError(
            .mismatch, file: file, place: "label of image \(i)", found: "\"\(words[i])\"",
            expected: "one of the \(names.count) class names, such as \"\(known[0])\"",
            advice: numbers.count(where: { $0 == nil }) == 1
              ? "All labels but number \(first) are numbers" : nil)
        }
        labels.append(label)
      }
      return (labels, names.map(displayText))
    }
    let labels = numbers.compactMap { $0 }
    if let i = labels.firstIndex(where: { !(0...Int(Int32.max)).contains($0) }) {
      throw ImageDataError(
        .damaged, file: file, place: "label of image \(i)", found: "\(labels[i])",
        expected: "a class number from 0 on")
    }
    return (labels, known)
  }
}

/// The lines of a label file.
private struct LabelText {
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
