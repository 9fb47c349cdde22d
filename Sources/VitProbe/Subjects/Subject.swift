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

/// The first subject with the label of an earlier one is an error: labels are unique.
func checkLabels(_ labels: [String]) throws(VitProbeError) {
  var found: [String: String] = [:]
  for label in labels {
    if let other = found[slug(label)] {
      throw VitProbeError(
        .usage,
        "two subjects are called \"\(other)\" and \"\(label)\"; give labels that differ in "
          + "file names: A=\(label) B=\(label)")
    }
    found[slug(label)] = label
  }
}
