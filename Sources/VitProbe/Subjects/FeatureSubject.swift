import Checkpoints
import Diagnostics
import Reports
import StrictJSON
import Tensors

/// Features that were captured before, here or by other software, in the place of a model.
///
/// Rows of a minibatch are read when it comes, from the file; no tensor is ever in memory as a whole
/// unless it is compressed.
public struct FeatureSubject: Subject {
  /// The name in tables and figures.
  public let label: String
  /// The layers, with the shape of their values for one sample, channels last.
  public let taps: [PlannedTap]
  /// The files.
  public let inputFiles: [String]
  private let file: FeatureFile
  private let format: Checkpoint.Format
  /// The row of each sample by its name.
  private let rows: [String: Int]?

  /// Opens a file of features.
  ///
  /// - Parameters:
  ///   - label: the name in tables; if nil, what the file says, else `defaultLabel`.
  ///   - layout: how layers lie, where the file does not say it.
  /// - Throws: `CheckpointError` for a file that does not fit together or cannot be understood.
  public init(
    _ checkpoint: Checkpoint, label: String?, defaultLabel: String,
    layout: FeatureLayout = FeatureLayout()
  ) throws(CheckpointError) {
    file = try FeatureFile(checkpoint, layout: layout)
    self.label = label ?? file.metadata.label ?? defaultLabel
    format = checkpoint.format
    inputFiles = checkpoint.files
    taps = file.layers.map(\.planned)
    rows = file.samples.ids.map { ids in
      Dictionary(ids.enumerated().map { ($1, $0) }, uniquingKeysWith: { a, _ in a })
    }
  }

  /// The samples of the file, to go over where there are no images.
  ///
  /// - Parameters:
  ///   - limit: the first so many; nil for all.
  ///   - shuffleSeed: the seed of a random order; nil for the file's own.
  public func samples(limit: Int? = nil, shuffleSeed: UInt64? = nil) -> SampleSet {
    SampleSet(file.samples, limit: limit, shuffleSeed: shuffleSeed)
  }

  /// The architecture family, for colours; `features` if it is not known.
  public var family: String { file.metadata.family ?? "features" }

  /// The architecture, if the file says it.
  public var architecture: String? { file.metadata.architecture }

  /// The side of the images in pixels, if the file says it.
  public var imageSize: Int? { file.metadata.imageSize }

  /// What the file holds, in a line.
  public var summary: String {
    var text = "features of \(file.metadata.architecture ?? "an unknown model"), "
    text += "\(file.layers.count) layers of \(file.samples.count) samples, \(format.rawValue)"
    if rows == nil { text += ", samples without ids" }
    return text
  }

  /// Remarks on the file.
  public var notes: [String] { file.notes }

  /// What it is made of, for the manifest.
  public var description: JSONValue {
    [
      "label": .string(label), "source": .string(inputFiles.first ?? ""),
      "architecture": file.metadata.architecture.map(JSONValue.string) ?? .null,
      "preprocessing":
        (file.metadata.preprocessing
        .flatMap { try? JSONValue(parsing: Array($0.utf8)) }) ?? .null,
      "compute": file.metadata.compute.map(JSONValue.string) ?? .null,
      "format": .string(format.rawValue), "samples": .integer(file.samples.count),
      "identified": .bool(rows != nil),
      "layers": .array(
        file.layers.map {
          [
            "name": .string($0.planned.tap.name), "dtype": .string($0.rows.entry.dtype.rawValue),
            "shape": .array($0.rows.entry.shape.map(JSONValue.integer)),
          ]
        }),
    ]
  }

  /// Features stand for images.
  public var needsImages: Bool { false }

  /// Samples are found by name where both sides know names; otherwise there must be as many on both,
  /// and they are matched by place.
  public func require(_ samples: SampleSet) throws(VitProbeError) {
    func failure(_ found: String, _ advice: String) -> VitProbeError {
      VitProbeError(.badData, "\(inputFiles.first ?? label): \(found). \(advice)")
    }
    guard let rows, samples.hasIDs else {
      guard file.samples.count == samples.wholeCount else {
        throw failure(
          "\(file.samples.count) samples, but \(samples.name) has \(samples.wholeCount)",
          "Without ids on both sides samples are matched by their place, and numbers must be equal")
      }
      return
    }
    for position in 0..<samples.count where rows[samples.id(position)] == nil {
      throw failure(
        "no sample \"\(samples.id(position))\", which \(samples.name) has",
        "Samples are matched by id; capture the features of the same images")
    }
    // Of images a part may be looked at; two files are to be of the same samples.
    if !samples.hasImages, file.samples.count != samples.wholeCount {
      let extra = samples.firstUnknown(of: file.samples.ids ?? []) ?? ""
      throw failure(
        "\(file.samples.count) samples, but \(samples.name) has \(samples.wholeCount): "
          + "\"\(extra)\" is in the first only",
        "Compare features of the same images")
    }
  }

  /// Reads the wanted layers of a minibatch.
  public func forward(_ batch: Minibatch, probe: any Probe) throws {
    let places = try zip(batch.ids, batch.positions).map { id, position in
      guard let rows, batch.isIdentified else { return position }
      guard let row = rows[id] else {
        throw VitProbeError(
          .badData, "\(inputFiles.first ?? label): no sample \"\(id)\"")
      }
      return row
    }
    for layer in file.layers where probe.wants(layer.planned.tap) {
      _ = probe.observe(layer.planned.tap, try layer.values(places))
    }
  }

  /// Memory of the largest wanted layer, stored and in order, and of what cannot be read in parts.
  public func memory(images: Int, wanting taps: Set<String>) -> (pass: Int, parameters: Int) {
    let largest =
      file.layers.filter { taps.contains($0.planned.tap.name) }
      .map { $0.rows.valuesPerRow }.max() ?? 0
    let (bytes, overflow) = largest.multipliedReportingOverflow(by: images * 8)
    return (overflow ? .max / 4 : bytes, file.layers.reduce(0) { $0 + $1.rows.heldBytes })
  }
}
