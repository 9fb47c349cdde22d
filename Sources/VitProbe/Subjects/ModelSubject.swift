import Checkpoints
import Diagnostics
import Images
import Models
import Reports
import StrictJSON
import Tensors

/// A model that is run on images.
public struct ModelSubject: Subject {
  /// The name in tables and figures.
  public let label: String
  /// The model with its weights.
  public let loaded: LoadedModel
  /// How images are prepared for it.
  public let transform: ImageTransform
  /// Every tap, with the shape of its value for one image.
  public let taps: [PlannedTap]
  /// Files that it was read from.
  public let inputFiles: [String]
  private let parameterBytes: Int
  private let parameterCount: Int
  private let nonfiniteNote: String?

  /// The epoch that a training file says it is of.
  public let epoch: Int?
  /// What the checkpoint calls its outputs; empty if it does not say.
  public let classNames: [String]

  /// A loaded model as a subject.
  ///
  /// - Parameters:
  ///   - overrides: changes to the preprocessing that the checkpoint or the variant brings.
  public init(
    _ loaded: LoadedModel, label: String, inputFiles: [String],
    overrides: PreprocessingOverrides = PreprocessingOverrides(), epoch: Int? = nil,
    classNames: [String] = []
  ) throws {
    self.label = label
    self.classNames = classNames
    self.epoch = epoch
    self.loaded = loaded
    self.inputFiles = inputFiles
    transform = try ImageTransform(
      loaded.preprocessing, channels: loaded.architecture.configuration.channels,
      overrides: overrides, label: label)
    let summary = try ModelSummary(loaded.architecture)
    taps = summary.taps.map {
      PlannedTap(tap: $0.tap, shape: Array($0.shape.dimensions.dropFirst()))
    }
    parameterBytes = summary.parameterBytes
    parameterCount = summary.parameterCount
    nonfiniteNote = loaded.nonfiniteNote
  }

  /// The outputs of its head; nil for a backbone.
  public var classCount: Int? { loaded.model.classCount }

  /// The architecture family, for colours.
  public var family: String { loaded.architecture.family }

  /// The file or seed that the weights came from, without its folder.
  public var sourceName: String {
    loaded.report.source.split(separator: "/").last.map(String.init) ?? loaded.report.source
  }

  /// The variant, or the family with its hyper-parameters.
  public var architecture: String? { loaded.report.variant ?? loaded.report.architecture }

  /// The side of the images in pixels; nil for images that are no squares.
  public var imageSize: Int? {
    let size = loaded.architecture.configuration.imageSize
    return size.isSquare ? size.side : nil
  }

  /// Family, variant, and the key mapping of the weights in a line.
  public var summary: String {
    let report = loaded.report
    var text = report.variant ?? report.architecture
    if report.variant != nil { text += " = \(report.architecture)" }
    text += ", \(parameterCount) parameters"
    text += inputFiles.isEmpty ? ", random weights" : ", \(report.keyMapping) names"
    if report.usesEMA { text += ", averaged (EMA) weights" }
    return text
  }

  /// How images are prepared, in a line.
  public var preparation: String { transform.text }

  /// Keys of the file that were not used, and other remarks.
  public var notes: [String] {
    let report = loaded.report
    var notes = report.warnings
    for group in report.unusedGroups {
      let shown = group.names.prefix(6).joined(separator: ", ")
      let more = group.names.count > 6 ? ", … (vitprobe inspect lists all)" : ""
      notes.append("\(group.names.count) tensor(s) not used (\(group.reason)): \(shown)\(more)")
    }
    if !report.ignoredOnRequest.isEmpty {
      notes.append(
        "\(report.ignoredOnRequest.count) tensor(s) left out on request (--ignore-tensors): "
          + report.ignoredOnRequest.prefix(6).joined(separator: ", "))
    }
    if let nonfiniteNote { notes.append(nonfiniteNote) }
    return notes
  }

  /// What it is made of, for the manifest.
  public var description: JSONValue {
    let report = loaded.report
    return [
      "label": .string(label), "source": .string(report.source),
      "architecture": .string(report.architecture),
      "variant": report.variant.map(JSONValue.string) ?? .null,
      "key_mapping": .string(report.keyMapping), "ema": .bool(report.usesEMA),
      "parameters": .integer(parameterCount),
      "entry": .string(report.entry), "prefix": .string(report.prefix),
      "unused_tensors": .array(report.unmatched.map(JSONValue.string)),
      "ignored_tensors": .array(report.ignoredOnRequest.map(JSONValue.string)),
      "weights_notes": .array(report.warnings.map(JSONValue.string)),
      "preprocessing": transform.json,
    ]
  }

  /// Models are run on images.
  public var needsImages: Bool { true }

  /// Any images do; samples of a feature file are none.
  public func require(_ samples: SampleSet) throws(VitProbeError) {
    guard samples.hasImages else { throw noImages }
  }

  private var noImages: VitProbeError {
    VitProbeError(.usage, "\(label) is a model and needs images; give them with --data PATH")
  }

  /// Runs the model on a minibatch.
  ///
  /// - Returns: logits, or nil for a backbone without a head.
  public func forward(_ batch: Minibatch, probe: any Probe) throws -> Tensor? {
    let input = try images(of: batch)
    let output = loaded.model(input, Context(probe: probe))
    return loaded.model.classCount == nil ? nil : output
  }

  /// The normalised images `[N, H, W, C]` of a minibatch.
  public func images(of batch: Minibatch) throws -> Tensor {
    guard let images = batch.images else { throw noImages }
    let size = loaded.architecture.configuration.imageSize
    let shape = Shape([images.count, size.height, size.width, transform.channels])
    for item in images.items { try requireSize(of: item.image, named: item.id) }
    return try Tensor(shape: shape) { buffer in
      try images.write(transform, into: buffer) { Threads.forEach($0, $1) }
    }
  }

  /// Makes sure that an image is as large as the model takes once it is prepared.
  ///
  /// - Throws: ``VitProbeError`` `.badData` that names the image and both sizes.
  func requireSize(of image: DecodedImage, named name: String) throws(VitProbeError) {
    let taken = loaded.architecture.configuration.imageSize
    let size = transform.outputSize(width: image.width, height: image.height)
    guard size.height == taken.height, size.width == taken.width else {
      throw VitProbeError(
        .badData,
        "\(name): \(size.width) x \(size.height) pixels, but \(label) takes "
          + "\(taken.height) x \(taken.width); "
          + "give --image-size or a --crop-pct, by which images are resized")
    }
  }

  /// Memory of a pass when `taps` are looked at, and of the parameters, in bytes.
  public func memory(
    images: Int, wanting taps: Set<String>
  ) throws -> (pass: Int, parameters: Int) {
    let summary = try ModelSummary(
      loaded.architecture, batchSize: images, looking: { taps.contains($0.name) })
    return (summary.peakActivationBytes, parameterBytes)
  }
}

extension ImageTransform {
  /// The transform that a model's preprocessing amounts to, with a user's changes.
  ///
  /// - Parameter channels: those that the model takes; a checkpoint may say otherwise.
  fileprivate init(
    _ preprocessing: Preprocessing, channels: Int, overrides: PreprocessingOverrides, label: String
  ) throws {
    func perChannel(_ values: [Double]?, _ own: [Double], _ name: String) throws -> [Float] {
      guard let values else {
        guard own.count == channels else {
          throw VitProbeError(
            .badData,
            "the preprocessing of \(label) is of \(own.count) channel(s), but its weights take "
              + "\(channels); give --mean and --std")
        }
        return own.map(Float.init)
      }
      if values.count == channels { return values.map(Float.init) }
      if values.count == 1 {
        return [Float](repeating: Float(values[0]), count: channels)
      }
      throw VitProbeError(
        .usage, "\(name) has \(values.count) values, but \(label) takes \(channels) channel(s)")
    }
    let name = overrides.interpolation ?? preprocessing.interpolation.rawValue
    guard let interpolation = Interpolation(rawValue: name) else {
      let known = Interpolation.allCases.map(\.rawValue).joined(separator: ", ")
      throw VitProbeError(.usage, "--interpolation \"\(name)\" is not one of \(known)")
    }
    let size = preprocessing.size
    func side() throws(VitProbeError) -> Int {
      guard size.isSquare else {
        throw VitProbeError(
          .badData,
          "\(label) takes images of \(size.height) x \(size.width) pixels: a crop by a fraction is "
            + "for squares; give images of that size")
      }
      return size.side
    }
    let mean = try perChannel(overrides.mean, preprocessing.mean, "--mean")
    let std = try perChannel(overrides.std, preprocessing.std, "--std")
    var rule = preprocessing.resize
    if let fraction = overrides.cropFraction {
      rule = .cropFraction(fraction)
    } else if case .none = rule, overrides.imageSize != nil {
      rule = .cropFraction(1)
    }
    switch rule {
    case .cropFraction(let fraction):
      self = try ImageTransform.cropping(
        imageSize: try side(), cropFraction: fraction, interpolation: interpolation, mean: mean,
        std: std)
    case .shortEdge(let edge):
      self.init(
        resize: .shortEdge(edge), crop: Size(height: size.height, width: size.width),
        interpolation: interpolation, mean: mean,
        std: std)
    case .squash:
      self.init(
        resize: .exact(height: size.height, width: size.width), crop: nil,
        interpolation: interpolation,
        mean: mean, std: std)
    case .none:
      self.init(resize: .none, crop: nil, interpolation: interpolation, mean: mean, std: std)
    }
    try validate()
  }

  /// The transform for a reader.
  var text: String {
    var parts: [String] = []
    switch resize {
    case .none: parts.append("not resized")
    case .shortEdge(let edge): parts.append("short edge \(edge), \(interpolation.rawValue)")
    case .exact(let height, let width):
      parts.append("resized to \(height) x \(width), \(interpolation.rawValue)")
    }
    if let crop { parts.append("centre \(crop.height) x \(crop.width)") }
    func list(_ values: [Float]) -> String {
      let shown = Set(values).count == 1 ? Array(values.prefix(1)) : values
      return shown.map(\.description).joined(separator: " ")
    }
    parts.append("mean \(list(mean))")
    parts.append("std \(list(std))")
    return parts.joined(separator: ", ")
  }

  /// The transform for the manifest.
  var json: JSONValue {
    let resize: JSONValue
    switch self.resize {
    case .none: resize = "none"
    case .shortEdge(let edge): resize = ["short_edge": .integer(edge)]
    case .exact(let height, let width):
      resize = ["exact": [.integer(height), .integer(width)]]
    }
    return [
      "resize": resize,
      "crop": crop.map { [.integer($0.height), .integer($0.width)] } ?? .null,
      "interpolation": .string(interpolation.rawValue),
      "mean": .array(mean.map { .real(Double($0)) }), "std": .array(std.map { .real(Double($0)) }),
    ]
  }
}
