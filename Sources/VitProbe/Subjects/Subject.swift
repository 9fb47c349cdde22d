import Diagnostics
import Reports
import StrictJSON
import Tensors

/// Something whose taps can be analysed: a model that is run, or a file of features.
public protocol Subject: Sendable {
  /// The name in tables and figures.
  var label: String { get }
  /// The architecture family, for colours.
  var family: String { get }
  /// The architecture; nil if it is not known.
  var architecture: String? { get }
  /// Every tap, with the shape of its value for one image.
  var taps: [PlannedTap] { get }
  /// The side of the images in pixels; nil if it is not known.
  var imageSize: Int? { get }
  /// The outputs of its head; nil without one.
  var classCount: Int? { get }
  /// What its outputs are called; empty if it is not known.
  var classNames: [String] { get }
  /// What was opened, in a line for a person: family, variant, key mapping.
  var summary: String { get }
  /// Remarks: keys of the file that were not used.
  var notes: [String] { get }
  /// What it is made of, for the manifest: architecture, parameters, preprocessing.
  var description: JSONValue { get }
  /// Files that it was read from.
  var inputFiles: [String] { get }

  /// Whether samples must come with their images.
  var needsImages: Bool { get }

  /// Makes sure that the subject can be looked at on the samples.
  ///
  /// - Throws: ``VitProbeError`` that names the first sample that is missing.
  func require(_ samples: SampleSet) throws(VitProbeError)

  /// Offers the wanted taps of a minibatch to a probe.
  ///
  /// - Throws: ``VitProbeError`` for a sample that the subject cannot take.
  func forward(_ batch: Minibatch, probe: any Probe) throws

  /// Bytes in use at once for a minibatch of `images` when `taps` are wanted, and of the parameters.
  func memory(images: Int, wanting taps: Set<String>) throws -> (pass: Int, parameters: Int)
}

extension Subject {
  /// The extent of the class scores, if there are some.
  public var classCount: Int? { taps.last { $0.tap.kind == .logits }?.shape.last }
  /// Remarks that name the subject.
  var labelledNotes: [String] { notes.map { "\(label): \($0)" } }
  /// Not known.
  public var classNames: [String] { [] }
}

/// Labels are unique, in file names as well, and no table's reader takes one for a value that is missing.
///
/// - Parameter arguments: what follows the label where each subject was named, for the advice.
/// - Throws: ``VitProbeError`` `.usage` for the first label that is not so.
func checkLabels(_ labels: [String], of arguments: [String] = []) throws(VitProbeError) {
  func advice(_ places: [Int]) -> String {
    guard let least = places.min(), least >= 0, arguments.count == labels.count else {
      return "give another label"
    }
    return "write "
      + zip(["A", "B"], places).map { "\($0)=\(arguments[$1])" }.joined(separator: " ")
  }
  var found: [String: Int] = [:]
  for (place, label) in labels.enumerated() {
    if TableName.readsAsMissing(label) {
      throw VitProbeError(
        .usage,
        "a subject is called \"\(label)\", which readers of tables take for a missing value; "
          + advice([place]))
    }
    if let other = found[slug(label)] {
      throw VitProbeError(
        .usage,
        "two subjects are called \"\(labels[other])\" and \"\(label)\", and labels are to differ in "
          + "file names; \(advice([other, place]))")
    }
    found[slug(label)] = place
  }
}
