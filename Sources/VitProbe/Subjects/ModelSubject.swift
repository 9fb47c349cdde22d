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
  public private(set) var network: any Network
  /// How exactly its products are computed.
  public private(set) var precision = ProductPrecision.float32
  /// Where the weights came from.
  public let report: LoadReport
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
    try self.init(
      loaded, report: loaded.report, preprocessing: loaded.preprocessing, label: label,
      inputFiles: inputFiles, overrides: overrides, epoch: epoch, classNames: classNames)
  }

  /// Any network as a subject.
  ///
  /// - Parameters:
  ///   - report: where its weights came from.
  ///   - preprocessing: how images are prepared for it.
  ///   - overrides: changes to that.
  ///   - classNames: what its outputs are called, in order; empty if nobody says.
  public init(
    _ network: any Network, report: LoadReport, preprocessing: Preprocessing, label: String,
    inputFiles: [String] = [], overrides: PreprocessingOverrides = PreprocessingOverrides(),
    epoch: Int? = nil, classNames: [String] = []
  ) throws {
    self.label = label
    self.classNames = classNames
    self.epoch = epoch
    self.network = network
    self.report = report
    self.inputFiles = inputFiles
    transform = try ImageTransform(
      preprocessing, channels: network.inputShape.channels, overrides: overrides, label: label)
    let summary = try ModelSummary(network)
    taps = summary.taps.map {
      PlannedTap(tap: $0.tap, shape: Array($0.shape.dimensions.dropFirst()))
    }
    parameterBytes = summary.parameterBytes
    parameterCount = summary.parameterCount
    nonfiniteNote = network.nonfiniteNote
  }

  /// The same subject with products of another precision.
  ///
  /// - Throws: ``VitProbeError`` `.usage` for one that this processor does not have.
  public func computing(
    in precision: ProductPrecision
  ) throws(VitProbeError) -> ModelSubject {
    guard precision.isAvailable else {
      throw VitProbeError(
        .usage,
        "\(precision.rawValue): this processor has no AVX512-BF16; bf16-emulated has the same values at "
          + "the speed of float32")
    }
    var subject = self
    subject.network = network.computing(in: precision)
    subject.precision = precision
    return subject
  }

  /// The outputs of its head; nil for a backbone.
  public var classCount: Int? { network.classCount }

  /// The architecture family, for colours.
  public var family: String { report.family }

  /// The file or seed that the weights came from, without its folder.
  public var sourceName: String {
    report.source.split(separator: "/").last.map(String.init) ?? report.source
  }

  /// The variant, or the family with its hyper-parameters.
  public var architecture: String? { report.variant ?? report.architecture }

  /// The side of the images in pixels; nil if they are not square.
  public var imageSize: Int? { network.inputShape.side }

  /// Family, variant, and the key mapping of the weights in a line.
  public var summary: String {
    var text = report.variant ?? report.architecture
    if report.variant != nil { text += " = \(report.architecture)" }
    text += ", \(parameterCount) parameters"
    text += inputFiles.isEmpty ? ", random weights" : ", \(report.keyMapping) names"
    if report.usesEMA { text += ", averaged (EMA) weights" }
    if precision != .float32 { text += ", products in \(precision.rawValue)" }
    if !report.assumptions.isEmpty { text += "; assumed: \(report.assumptions)" }
    return text
  }

  /// How images are prepared, in a line.
  public var preparation: String { transform.text }

  /// Keys of the file that were not used, and other remarks.
  public var notes: [String] {
    var notes = report.warnings
    for group in report.unusedGroups {
      let shown = group.names.prefix(6).joined(separator: ", ")
      let more = group.names.count > 6 ? ", … (vitprobe inspect lists all)" : ""
      notes.append("\(group.names.count) tensor(s) not used (\(group.reason)): \(shown)\(more)")
    }
    if !report.ignoredOnRequest.isEmpty {
      notes.append(
        "\(report.ignoredOnRequest.count) tensor(s) left out on request (`ignored`): "
          + report.ignoredOnRequest.prefix(6).joined(separator: ", "))
    }
    if let nonfiniteNote { notes.append(nonfiniteNote) }
    return notes
  }

  /// What it is made of, for the manifest.
  public var description: JSONValue {
    return [
      "label": .string(label), "source": .string(report.source),
      "architecture": .string(report.architecture),
      "variant": report.variant.map(JSONValue.string) ?? .null,
      "provenance": .array(
        report.provenance.map {
          [
            "parameter": .string($0.parameter), "value": .string($0.value),
            "source": .string($0.source.rawValue),
          ]
        }),
      "key_mapping": .string(report.keyMapping), "ema": .bool(report.usesEMA),
      "parameters": .integer(parameterCount),
      "entry": .string(report.entry), "prefix": .string(report.prefix),
      "unused_tensors": .array(report.unmatched.map(JSONValue.string)),
      "ignored_tensors": .array(report.ignoredOnRequest.map(JSONValue.string)),
      "weights_notes": .array(report.warnings.map(JSONValue.string)),
      "preprocessing": transform.json,
      "compute": .string(precision.rawValue),
    ]
  }

  /// Models are run on images.
  public var needsImages: Bool { true }

  /// Any images do; samples of a feature file are none.
  public func require(_ samples: SampleSet) throws(VitProbeError) {
    guard samples.hasImages else { throw noImages }
  }

  private var noImages: VitProbeError {
    VitProbeError(.usage, "\(label) is a model and needs images; give them as `data`")
  }

  /// Runs the model on a minibatch.
  ///
  /// - Throws: as ``images(of:)``.
  public func forward(_ batch: Minibatch, probe: any Probe) throws {
    _ = network(try images(of: batch), Context(probe: probe))
  }

  /// The normalised images `[N, H, W, C]` of a minibatch.
  public func images(of batch: Minibatch) throws -> Tensor {
    guard let images = batch.images else { throw noImages }
    let input = network.inputShape
    let shape = Shape([images.count, input.height, input.width, transform.channels])
    for item in images.items {
      try requireSize(width: item.image.width, height: item.image.height, named: item.id)
    }
    return try Tensor(shape: shape) { buffer in
      try images.write(transform, into: buffer) { Threads.forEach($0, $1) }
    }
  }

  /// Makes sure that an image is as large as the model takes once it is prepared.
  ///
  /// - Throws: ``VitProbeError`` `.badData` that names the image and both sizes.
  private func requireSize(
    width: Int, height: Int, named name: String
  ) throws(VitProbeError) {
    let input = network.inputShape
    let size = transform.outputSize(width: width, height: height)
    guard size.height == input.height, size.width == input.width else {
      throw VitProbeError(
        .badData,
        "\(name): \(size.width) x \(size.height) pixels, but \(label) takes \(input.width) x "
          + "\(input.height); "
          + "give `imageSize` or a `cropFraction`, by which images are resized")
    }
  }

  /// Makes sure that images are as large as the model takes, without a pass: the first, or each one
  /// where preparation leaves them as they are.
  ///
  /// - Parameters:
  ///   - all: whether each one is looked at.
  ///   - policy: what to do with an image that cannot be read.
  /// - Throws: ``VitProbeError`` `.badData` that names the first that is not.
  func require(
    sizesOf samples: SampleSet, all: Bool = false, onBadImage policy: BadImagePolicy = .fail
  ) throws {
    let isFixed = transform.crop != nil || transform.resize != .none
    for position in 0..<(isFixed || !all ? min(1, samples.count) : samples.count) {
      do {
        guard let size = try samples.size(position) else { return }
        try requireSize(width: size.width, height: size.height, named: samples.id(position))
      } catch let error as ImageDataError {
        if policy == .fail { throw error }
      }
    }
  }

  /// Memory of a pass when `taps` are looked at, and of the parameters, in bytes.
  public func memory(
    images: Int, wanting taps: Set<String>
  ) throws -> (pass: Int, parameters: Int) {
    let summary = try ModelSummary(
      network, batchSize: images, looking: { taps.contains($0.name) })
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
              + "\(channels); give `mean` and `std`")
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
      throw VitProbeError(.usage, "`interpolation` \"\(name)\" is not one of \(known)")
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
    let mean = try perChannel(overrides.mean, preprocessing.mean, "`mean`")
    let std = try perChannel(overrides.std, preprocessing.std, "`std`")
    var rule = preprocessing.resize
    if let fraction = overrides.cropFraction {
      rule = .cropFraction(fraction)
    } else if case .none = rule, overrides.imageSize != nil {
      rule = .cropFraction(1)
    }
    let frame = Size(height: size.height, width: size.width)
    switch rule {
    case .cropFraction(let fraction):
      self = try ImageTransform.cropping(
        imageSize: try side(), cropFraction: fraction, interpolation: interpolation, mean: mean,
        std: std)
    case .shortEdge(let edge):
      self.init(
        resize: .shortEdge(edge), crop: frame, interpolation: interpolation, mean: mean,
        std: std)
    case .squash, .squashTo, .squashFraction:
      var edge = frame
      if case .squashTo(let own) = rule { edge = Size(own) }
      if case .squashFraction(let fraction) = rule {
        func part(_ length: Int) -> Int { Int((Double(length) / fraction).rounded(.down)) }
        edge = Size(height: part(size.height), width: part(size.width))
      }
      self.init(
        resize: .exact(height: edge.height, width: edge.width), crop: edge == frame ? nil : frame,
        interpolation: interpolation, mean: mean, std: std)
    case .border(let fraction):
      self.init(
        resize: .longEdge(Int((Double(try side()) / fraction).rounded(.down))), crop: frame,
        interpolation: interpolation, mean: mean, std: std,
        border: mean.map { UInt8((min(max(255 * $0, 0), 255)).rounded(.toNearestOrEven)) })
    case .crop:
      self.init(
        resize: .none, crop: frame, interpolation: interpolation, mean: mean, std: std)
    case .none:
      self.init(resize: .none, crop: nil, interpolation: interpolation, mean: mean, std: std)
    }
    if preprocessing.cropsDown { cropRounding = .down }
    try validate()
  }

  /// The transform for a reader.
  var text: String {
    var parts: [String] = []
    switch resize {
    case .none: parts.append("not resized")
    case .shortEdge(let edge): parts.append("short edge \(edge), \(interpolation.rawValue)")
    case .longEdge(let edge): parts.append("long edge \(edge), \(interpolation.rawValue)")
    case .exact(let height, let width):
      parts.append("resized to \(height) x \(width), \(interpolation.rawValue)")
    }
    if let crop { parts.append("centre \(crop.height) x \(crop.width)") }
    if let border {
      parts.append("a border of " + border.map { "\($0)" }.joined(separator: " "))
    }
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
    case .longEdge(let edge): resize = ["long_edge": .integer(edge)]
    case .exact(let height, let width):
      resize = ["exact": [.integer(height), .integer(width)]]
    }
    let common: JSONValue = [
      "resize": resize,
      "crop": crop.map { [.integer($0.height), .integer($0.width)] } ?? .null,
      "interpolation": .string(interpolation.rawValue),
      "mean": .array(mean.map { .real(Double($0)) }), "std": .array(std.map { .real(Double($0)) }),
    ]
    guard case .object(var members) = common else { return common }
    if let border { members.append(.init("border", .array(border.map { .integer(Int($0)) }))) }
    if cropRounding != .halfToEven { members.append(.init("crop_rounding", .string("down"))) }
    return .object(members)
  }
}
