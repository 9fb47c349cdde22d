/// Labels of all images of a source, in its order, checked where they are read.
public struct LabelTable: Sendable, Hashable {
  /// The class of each image; nil where it has none. Files write that as a negative number.
  public let labels: [Int?]
  /// Names of the classes by label; empty if the labels were numbers.
  public let classNames: [String]
  /// Whether labels number `classNames` in the order of the data. They are then not yet the classes of
  /// any model.
  public let isByName: Bool
  /// The file they came from, for messages.
  public let file: String
  /// What was made of them, a sentence each.
  public let notes: [String]
  let inputs: [InputFile]

  /// The largest class number that is read.
  static let largest = 1 << 24

  /// Labels from elsewhere; negative ones are none.
  public init(
    _ labels: [Int?], classNames: [String] = [], isByName: Bool = false, file: String = "labels"
  ) {
    self.init(labels, classNames: classNames, isByName: isByName, file: file, notes: [], inputs: [])
  }

  private init(
    _ labels: [Int?], classNames: [String], isByName: Bool, file: String, notes: [String],
    inputs: [InputFile]
  ) {
    self.labels = labels.map { label in label.flatMap { $0 < 0 ? nil : $0 } }
    self.classNames = classNames
    self.isByName = isByName
    self.file = file
    self.notes = notes
    self.inputs = inputs
  }

  /// Labels from an array of numbers: `[N]`; `[N, 1]`, which is squeezed; or one-hot `[N, classes]`,
  /// whose ones give the classes.
  ///
  /// - Parameters:
  ///   - values: the elements, row-major.
  ///   - count: N, the number of images.
  ///   - place: the array within the file, for messages.
  /// - Throws: `mismatch` for another shape or number; `damaged` for a number that is not whole, is too
  ///   large, or is no part of a one-hot row.
  public init(
    _ values: [Float], shape: [Int], count: Int, file: String, place: String? = nil,
    inputFiles: [InputFile] = []
  ) throws(ImageDataError) {
    let extents = shape.filter { $0 != 1 }
    let isOneHot = shape.count == 2 && shape[0] == count && shape[1] > 1
    guard isOneHot || extents.count <= 1 || shape.count == 2 else {
      throw ImageDataError(
        .mismatch, file: file, place: place, found: "labels of shape \(shape)",
        expected: "[\(count)], [\(count), 1] or one-hot [\(count), classes]")
    }
    let found = extents.count <= 1 && !isOneHot ? extents.first ?? 1 : shape[0]
    guard found == count, values.count == shape.reduce(1, *) else {
      throw ImageDataError(
        .mismatch, file: file, place: place,
        found: shape.count == 1 ? "\(found) labels" : "labels of shape \(shape)",
        expected: "\(count), one for each image")
    }
    let name = place.map { "\(file), \($0)" } ?? file
    if !isOneHot {
      var labels: [Int?] = []
      labels.reserveCapacity(count)
      for (index, value) in values.enumerated() {
        guard let label = Int(exactly: value), label <= LabelTable.largest else {
          throw ImageDataError(
            .damaged, file: file,
            place: (place.map { $0 + ", " } ?? "") + "label of image \(index)",
            found: "\(value)",
            expected: "a whole number: a class from 0 on, or a negative one for none")
        }
        labels.append(label)
      }
      self.init(
        labels, classNames: [], isByName: false, file: file,
        notes: shape.count > 1
          ? ["\(name): labels of shape \(shape) are squeezed to \(count)"] : [],
        inputs: inputFiles)
    } else {
      let classes = shape[1]
      var labels: [Int?] = []
      labels.reserveCapacity(count)
      for index in 0..<count {
        let row = values[(index * classes)..<((index + 1) * classes)]
        guard row.allSatisfy({ $0 == 0 || $0 == 1 }), row.count(where: { $0 == 1 }) == 1,
          let one = row.firstIndex(of: 1)
        else {
          throw ImageDataError(
            .mismatch, file: file, place: place,
            found: "labels of shape \(shape), whose row \(index) is not one 1 among zeros",
            expected: "[\(count)], [\(count), 1] or one-hot [\(count), classes]",
            advice: "Soft and multiple labels have no accuracy")
        }
        labels.append(one - index * classes)
      }
      self.init(
        labels, classNames: [], isByName: false, file: file,
        notes: [
          "\(name): labels of shape \(shape) are one-hot; the place of each 1 is its class"
        ], inputs: inputFiles)
    }
  }

  /// Reads the labels of `source` from the file at `path`, which is one of
  /// - IDX labels (`.gz` too), one for each image in the source's order;
  /// - text, one label a line in the source's order;
  /// - CSV of two columns, `id,label`, in any order; a first row that says so is passed over, and
  ///   rows for images that the source does not have are too.
  ///
  /// Labels are numbers, negative where an image has none; if any is not a number, all are class names,
  /// which are numbered as the source numbers them or, if it does not, in their bytewise order.
  ///
  /// - Throws: `notFound`, `unreadable`, `damaged`; `mismatch` if images and labels do not match.
  public init(
    reading path: String, for source: any ImageSource, limits: ImageLimits = ImageLimits()
  ) throws(ImageDataError) {
    let rawPath = RawPath(path)
    let file = try DataFile(rawPath, name: path)
    let head = try file.bytes(at: 0, upTo: 6)
    let inputs = [InputFile(rawPath)]
    // The names of class folders are no numbers of classes.
    let numbered = source.isLabelledByName ? [] : source.classNames
    if head.starts(with: [0x1F, 0x8B]) || head.starts(with: [0, 0, 8]) {
      let labels = try IDXImages.readLabels(rawPath, limits: limits).map(Int.init)
      self.init(
        labels, classNames: numbered, isByName: false, file: path, notes: [], inputs: inputs)
    } else {
      guard file.size <= limits.encodedBytes else {
        throw ImageDataError(
          .tooLarge, file: path, found: "\(file.size) bytes",
          expected: "at most \(limits.encodedBytes)")
      }
      let bytes = try file.bytes(at: 0, exactly: file.size)
      let words = try LabelText(bytes, file: path).labels(for: source)
      if let numbers = try LabelTable.numbers(words, file: path) {
        self.init(
          numbers, classNames: numbered, isByName: false, file: path, notes: [], inputs: inputs)
      } else {
        let (labels, names) = try LabelTable.names(words, source.classNames, file: path)
        self.init(
          labels, classNames: names, isByName: numbered.isEmpty, file: path, notes: [],
          inputs: inputs)
      }
    }
    guard labels.count == source.count else {
      throw ImageDataError(
        .mismatch, file: path, found: "\(labels.count) labels",
        expected: "\(source.count), one for each image")
    }
  }

  /// The words as numbers; nil if some are names.
  private static func numbers(_ words: [String], file: String) throws(ImageDataError) -> [Int]? {
    if let i = words.firstIndex(of: "") {
      throw ImageDataError(
        .damaged, file: file, place: "label of image \(i)", found: "nothing",
        expected: "a class, or -1 for none")
    }
    // numpy.savetxt writes whole numbers with a fraction unless told otherwise.
    let values = words.map { word in Double(word).flatMap { $0.isFinite ? $0 : nil } }
    guard values.allSatisfy({ $0 != nil }) else { return nil }
    var numbers: [Int] = []
    numbers.reserveCapacity(words.count)
    for (i, value) in values.enumerated() {
      guard let value, let number = Int(exactly: value), number <= largest else {
        throw ImageDataError(
          .damaged, file: file, place: "label of image \(i)", found: words[i],
          expected: "a whole number: a class from 0 on, or a negative one for none")
      }
      numbers.append(number)
    }
    return numbers
  }

  private static func names(
    _ words: [String], _ known: [String], file: String
  ) throws(ImageDataError) -> ([Int?], [String]) {
    let isNone = words.map { word in Int(word).map { $0 < 0 } ?? false }
    // Names are compared byte by byte: two spellings of one text are two classes.
    let keys = words.map { Array($0.utf8) }
    let names: [[UInt8]] =
      known.isEmpty
      ? Set(zip(keys, isNone).compactMap { $1 ? nil : $0 }).sorted(by: bytewiseLess)
      : known.map { Array($0.utf8) }
    var index: [[UInt8]: Int] = [:]
    for (i, name) in names.enumerated() { index[name] = index[name] ?? i }
    let areMostlyNumbers = words.count(where: { Double($0) == nil }) == 1 && words.count > 1
    var labels: [Int?] = []
    labels.reserveCapacity(keys.count)
    for (i, key) in keys.enumerated() {
      if isNone[i] {
        labels.append(nil)
        continue
      }
      guard let label = index[key] else {
        let first = words.firstIndex { Double($0) == nil } ?? i
        throw ImageDataError(
          .mismatch, file: file, place: "label of image \(i)", found: "\"\(words[i])\"",
          expected: "one of the \(names.count) class names, such as \"\(known[0])\"",
          advice: areMostlyNumbers ? "All labels but number \(first) are numbers" : nil)
      }
      labels.append(label)
    }
    return (labels, names.map(displayText))
  }
}
