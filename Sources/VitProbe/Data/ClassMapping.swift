import Images
import StrictJSON

/// Which output of a head each label of a data set is.
public struct ClassMapping: Sendable, Hashable, Codable {
  /// By what it is known.
  public enum Basis: String, Sendable, Hashable, Codable {
    /// Labels are numbers of outputs.
    case numbers
    /// The checkpoint names its outputs.
    case checkpoint
    /// The 1000 classes of ImageNet.
    case imageNet = "imagenet"
    /// A file that the user gave.
    case classIndex = "class_index"
    /// The names are the numbers of all outputs.
    case folderNumbers = "folder_numbers"
    /// The user says that outputs are the classes in the order of their names.
    case sorted = "labels_as_sorted"
    /// It is not.
    case unmapped = "labels_unmapped"
  }

  /// By what it is known.
  public let basis: Basis
  /// The names of the labels in order; empty where they are numbers.
  public let names: [String]
  /// The output of each label; empty where labels are outputs, and where they are not known.
  public let outputs: [Int]

  /// Labels that are numbers of outputs.
  public static let numbers = ClassMapping(basis: .numbers, names: [], outputs: [])

  /// The output that a label is; nil for no label, and where it is not known.
  public func callAsFunction(_ label: Int?) -> Int? {
    guard let label else { return nil }
    switch basis {
    case .numbers: return label
    case .unmapped: return nil
    default: return outputs.indices.contains(label) ? outputs[label] : nil
    }
  }

  /// What a number that rests on it has as status: `ok`, or what was assumed.
  var status: String { basis == .sorted || basis == .unmapped ? basis.rawValue : "ok" }

  /// What was found or assumed, for a reader; nil where labels are numbers.
  var text: String? {
    switch basis {
    case .numbers: nil
    case .checkpoint: "classes are matched to the names that the checkpoint has for its outputs"
    case .imageNet: "classes are taken for those of ImageNet-1k, by name"
    case .classIndex: "classes are matched by `classIndex`"
    case .folderNumbers: "classes are taken for the outputs whose numbers they are called by"
    case .sorted:
      "outputs are assumed to be the classes in the order of their names (`labelsAreSorted`)"
    case .unmapped:
      "the classes (\(names.prefix(3).joined(separator: ", "))\(names.count > 3 ? ", …" : "")) are "
        + "not known to be outputs of its head; map them by `classIndex`, or say by "
        + "`labelsAreSorted` that outputs are the classes in the order of their names"
    }
  }

  /// The mapping class by class, for the manifest.
  var json: JSONValue {
    if basis == .numbers { return ["basis": .string(basis.rawValue)] }
    return json(of: names)
  }

  private func json(of names: [String]) -> JSONValue {
    [
      "basis": .string(basis.rawValue),
      "classes": .object(
        names.enumerated().map { label, name in
          JSONValue.Member(
            name, outputs.indices.contains(label) ? .integer(outputs[label]) : .null)
        }),
    ]
  }
}

extension ClassMapping {
  /// What labels mean to each subject, a sentence each.
  static func notes(
    _ mappings: [ClassMapping?], of subjects: [any Subject], on data: SampleSet
  ) -> [String] {
    zip(mappings, subjects).compactMap { mapping, subject in
      if let text = mapping?.text { return "\(subject.label): \(text)" }
      let names = data.classNames.count
      guard let mapping, mapping.basis == .numbers, names > 0, let classes = subject.classCount,
        classes != names
      else { return nil }
      return "\(data.name) names \(names) classes and the head of \(subject.label) has \(classes); "
        + "label i is taken for output i"
    }
  }

  /// What labels mean to each subject, for the manifest.
  static func json(_ mappings: [ClassMapping?], of subjects: [any Subject]) -> JSONValue {
    .object(
      zip(mappings, subjects).map { mapping, subject in
        JSONValue.Member(subject.label, mapping?.json ?? .null)
      })
  }

  /// A status of a number, and what was assumed for it.
  func status(beside own: String) -> String {
    status == "ok" ? own : own == "ok" ? status : own + ";" + status
  }
}

/// How the classes of a data set are called, and what the user says of them.
public struct ClassNaming: Sendable {
  /// The names that labels number; empty where labels are numbers of outputs.
  public var names: [String] = []
  /// Which output a name is, by the user's word.
  public var index: ClassIndex?
  /// Whether outputs are the classes in the order of their names, by the user's word.
  public var isSorted = false

  /// Labels that are numbers of outputs.
  public init() {}

  /// The names that the labels of some images number.
  public init(of images: ImageDataSet) {
    names = images.isLabelledByName ? images.classNames : []
  }

  /// Finds out which outputs of a head the labels are.
  ///
  /// - Throws: ``VitProbeError`` where the user's word does not fit.
  func mapping(to head: Head) throws(VitProbeError) -> ClassMapping {
    guard !names.isEmpty else { return .numbers }
    func made(_ basis: ClassMapping.Basis, _ outputs: [Int]) -> ClassMapping {
      ClassMapping(basis: basis, names: names, outputs: outputs)
    }
    if let index {
      let outputs = names.map { index.names($0) }
      if let missing = outputs.firstIndex(of: nil) {
        throw VitProbeError(
          .badData,
          "\(index.file) has no class \"\(names[missing])\", or several; it has to name every class of the data"
        )
      }
      let found = outputs.compactMap(\.self)
      if let place = found.firstIndex(where: { $0 >= head.count }) {
        throw VitProbeError(
          .badData,
          "\(index.file) makes \"\(names[place])\" output \(found[place]), but the head of "
            + "\(head.label) has \(head.count) classes")
      }
      return made(.classIndex, found)
    }
    if isSorted {
      guard names.count <= head.count else {
        throw VitProbeError(
          .badData,
          "`labelsAreSorted`: the data have \(names.count) classes and the head of \(head.label) "
            + "\(head.count)")
      }
      return made(.sorted, Array(names.indices))
    }
    if head.names.count == head.count,
      let outputs = outputs(ClassNames(head.names.map(ClassNames.Entry.init)))
    {
      return made(.checkpoint, outputs)
    }
    if head.isOfImageNet, let outputs = outputs(ImageNetClasses.names) {
      return made(.imageNet, outputs)
    }
    if head.names.isEmpty, let outputs = numbers(below: head.count) {
      return made(.folderNumbers, outputs)
    }
    return made(.unmapped, [])
  }

  /// A different class for every name, or nil.
  private func outputs(_ classes: ClassNames) -> [Int]? {
    let found = names.compactMap { classes($0) }
    return found.count == names.count && Set(found).count == found.count ? found : nil
  }

  /// The names as numbers, where they are those of all outputs, and come in the same order as text and as
  /// numbers: `0` … `9`, `000` … `999`. Whoever trained on sorted folders then means the same.
  private func numbers(below count: Int) -> [Int]? {
    let found = names.compactMap { name in
      name.utf8.allSatisfy { (48...57).contains($0) } ? Int(name) : nil
    }
    return found == Array(0..<count) ? found : nil
  }

  /// The head whose outputs are looked for.
  struct Head {
    /// Whose it is, for messages.
    var label: String
    /// Its outputs.
    var count: Int
    /// What its checkpoint calls them; empty if it does not say.
    var names: [String]

    /// Whether 1000 outputs may be the classes of ImageNet: nobody calls them otherwise.
    var isOfImageNet: Bool {
      guard count == ImageNetClasses.names.count else { return false }
      guard names.count == count else { return names.isEmpty }
      return names.enumerated().count { ImageNetClasses.names($1) == $0 } >= count * 9 / 10
    }
  }
}

extension Subject {
  /// Which outputs of its head the labels of some data are; nil without a head.
  ///
  /// - Throws: ``VitProbeError`` where the user's word does not fit.
  func classes(_ naming: ClassNaming) throws(VitProbeError) -> ClassMapping? {
    guard let classCount else { return nil }
    return try naming.mapping(
      to: ClassNaming.Head(label: label, count: classCount, names: classNames))
  }
}

extension ModelSubject {
  /// Which outputs of its head the labels of some data are, for a loss that needs to know.
  ///
  /// - Parameters:
  ///   - largest: the greatest label.
  ///   - data: what the images are called.
  /// - Throws: ``VitProbeError`` without a head, and where labels are not known to be its outputs.
  func lossClasses(
    _ naming: ClassNaming, largest: Int, of data: String
  ) throws(VitProbeError) -> ClassMapping {
    guard let count = classCount else {
      throw VitProbeError(
        .badData, "\(label) has no classification head, and the loss needs one")
    }
    let mapping = try classes(naming) ?? .numbers
    if mapping.basis == .unmapped {
      throw VitProbeError(.badData, "\(label): \(mapping.text ?? "")")
    }
    guard mapping.basis != .numbers || largest < count else {
      throw VitProbeError(
        .badData,
        "labels of \(data) go up to \(largest), but the head of \(label) has \(count) classes")
    }
    return mapping
  }
}
