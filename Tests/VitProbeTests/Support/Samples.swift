import Checkpoints
import Diagnostics
import Images
import Models
import Reports
import Tensors
import TestSupport

@testable import VitProbe

/// Small models of random weights, and images of a fixed pattern.
enum Samples {
  static let vit = "vit(image=32,patch=8,dim=24,depth=2,heads=3,classes=7)"
  static let resnet = "resnet(stem=cifar,image=32,depths=1-1,block=basic,width=6,classes=7)"

  /// A small model of each family, and what is special about it.
  struct Family: CustomStringConvertible, Sendable {
    let architecture: String
    /// Attention maps and kernels of local layers, each kind of a block counted.
    let maps: Int
    var description: String { architecture }
  }

  static let families = [
    Family(architecture: vit, maps: 2),
    Family(architecture: resnet, maps: 0),
    Family(
      architecture: "refiner_vit(image=32,patch=8,dim=24,depth=3,heads=3,classes=7)", maps: 6),
    Family(
      architecture: "refiner(image=32,patch=8,dim=24,depth=2,heads=3,expand=2,classes=7)", maps: 4),
    Family(
      architecture: "alternet(image=32,stem=cifar,depths=1-2-2,msa=0-1-1,block=basic,width=6,"
        + "heads=1-1-2,head-dim=6,window=4,classes=7)", maps: 2),
    Family(
      architecture: "swin(image=32,patch=2,window=4,dim=12,depths=2-2,heads=2-3,classes=7)",
      maps: 4),
    Family(
      architecture: "swin(form=how-do-vits-work,image=32,patch=2,window=4,dim=12,depths=2-2,"
        + "head-dim=6,heads=2-3,classes=7)", maps: 4),
    Family(
      architecture: "pit(image=32,patch=8,stride=4,dims=12-24,depths=1-2,heads=2-3,classes=7)",
      maps: 3),
    Family(architecture: "mixer(image=32,patch=8,dim=24,depth=2,classes=7)", maps: 0),
    Family(
      architecture: "dwnet(kernels=inhomogeneous,image=32,dim=8,depths=1-1,window=3,"
        + "group-channels=2-4,classes=7)", maps: 2),
    Family(
      architecture: "rednet(image=32,depths=1-1,width=16,stem-width=32,classes=7)", maps: 3),
    Family(
      architecture: "pvt(image=32,patch=4,dims=8-12,depths=1-1,heads=2-3,classes=7)", maps: 2),
    Family(
      architecture: "volo(image=32,dims=8-16,depths=1-1,heads=2-4,stem-width=8,classes=7)", maps: 4),
    Family(
      architecture: "sasa(image=32,depths=1-1,width=8,heads=2,window=3,classes=7)",
      maps: 2),
    Family(
      architecture: "convit(image=32,patch=8,dim=24,depth=2,heads=3,kernel=3,classes=7)", maps: 2),
    Family(
      architecture:
        "aa_wide_resnet(form=paper,image=32,depths=1-1,widths=4-4-8,keys=160-8-8,values=1-2-4,heads=2,"
        + "classes=7)", maps: 2),
    Family(
      architecture:
        "attention_cnn(image=32,patch=4,dim=8,depth=2,heads=3,mlp=12,positions=quadratic,classes=7)",
      maps: 2),
    Family(
      architecture: "resnet(image=32,depths=2-1,block=basic,width=6,gate=nl,squeeze=4-8,"
        + "non-local=0,non-local-pool=false,classes=7)", maps: 4),
  ]

  static func model(
    _ architecture: String, label: String = "m", classNames: [String] = []
  ) throws -> ModelSubject {
    let loaded = try ModelLoader.random(Architecture(architecture), seed: 5)
    return try ModelSubject(loaded, label: label, inputFiles: [], classNames: classNames)
  }

  /// Noise, with labels 0 … 6.
  static func images(_ count: Int, isLabeled: Bool = true) throws -> SampleSet {
    SampleSet(try imageSet(count, isLabeled: isLabeled))
  }

  /// The same as images that are no samples yet.
  static func imageSet(_ count: Int, isLabeled: Bool = true) throws -> ImageDataSet {
    var state: UInt64 = 1
    let bytes = (0..<count * 32 * 32 * 3).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return UInt8(truncatingIfNeeded: state >> 56)
    }
    let source = try ArrayImages(
      name: "noise", shape: [count, 32, 32, 3], element: .uint8, bytes: bytes,
      labels: isLabeled ? (0..<count).map { $0 % 7 } : nil)
    return try ImageDataSet(source, name: "noise")
  }

  static var analyses: [any Analyzer] {
    var settings = CKASettings()
    settings.bootstrap = 20
    return [CKAAnalyzer(settings), FourierAnalyzer(), VarianceAnalyzer()]
  }

  static func options(batchSize: Int = 8) -> FeatureRun.Options {
    var options = FeatureRun.Options()
    options.batchSize = batchSize
    return options
  }

  /// A capture written to a file, opened again.
  static func captured(
    _ subject: any Subject, on data: SampleSet, in scratch: Scratch,
    format: FeatureFileFormat = .safetensors, name: String = "features"
  ) throws -> FeatureSubject {
    let path = scratch.file("\(name).\(format.rawValue)")
    let capture = try FeatureCapture(subject, on: data, options: options())
    _ = try capture(to: path, format: format)
    return try FeatureSubject(Checkpoint.open(path), label: nil, defaultLabel: name)
  }

  /// Every table of a run as text.
  static func tables(
    _ subjects: [any Subject], on data: SampleSet, batchSize: Int = 8
  ) throws -> [String: String] {
    let run = try FeatureRun(
      subjects, on: data, analyses: analyses, options: options(batchSize: batchSize))
    var texts: [String: String] = [:]
    for (_, report) in try run().reports {
      for table in report.tables { texts[table.name] = table.csv }
    }
    return texts
  }
}

/// A safetensors file of the given layers, without any metadata of ours unless given.
func featureFile(
  _ layers: [(name: String, dtype: ElementType, shape: [Int])], metadata: [String: String] = [:],
  in scratch: Scratch, as name: String = "f.safetensors", fill: UInt8 = 0
) throws -> String {
  let path = scratch.file(name)
  var writer = try SafetensorsWriter(
    creating: path,
    tensors: layers.map { .init(name: $0.name, dtype: $0.dtype, shape: $0.shape) },
    metadata: metadata)
  for (index, layer) in layers.enumerated() {
    let bytes = [UInt8](repeating: fill, count: layer.dtype.byteCount(shape: layer.shape) ?? 0)
    try bytes.withUnsafeBytes { try writer.append($0, to: index) }
  }
  try writer.finish()
  return path
}

/// Opens a file as a user would name it.
func open(_ path: String, _ layout: FeatureLayout = FeatureLayout()) throws -> any Subject {
  try openSubject(
    SubjectArgument(path), label: nil, preprocessing: PreprocessingOverrides(), features: layout)
}

/// The failure that a user would see.
func failure(_ body: () throws -> Void) -> VitProbeError? {
  do {
    try body()
    return nil
  } catch {
    return VitProbeError(error)
  }
}
