import Diagnostics
import Images
import Reports
import Tensors

extension FeatureJob {
  /// What a run of this job did, with what.
  func manifest(
    of subjects: [any Subject], on samples: SampleSet, configuration: JSONText, images: Int,
    skipped: [SkippedImage], wallSeconds: Double
  ) throws -> Manifest {
    var manifest = Manifest(
      version: VitProbeVersion.current, arguments: arguments, configuration: configuration,
      seed: Int(truncatingIfNeeded: seed), imageCount: images, threads: Threads.count)
    for file in Set(subjects.flatMap(\.inputFiles)).sorted() {
      manifest.inputs.append(try Manifest.Input(reading: file))
    }
    for file in samples.inputFiles {
      let digest = SHA256()
      var size = 0
      try file.readChunks {
        digest.update($0)
        size += $0.count
      }
      manifest.inputs.append(.init(path: file.path, sha256: digest.finish(), size: size))
    }
    manifest.skipped = skipped.map { .init(image: $0.id, reason: $0.reason) }
    manifest.kernels = ["OpenBLAS \(Threads.blasKernels)"]
    manifest.wallSeconds = wallSeconds
    return manifest
  }

  /// The settings that all commands on features share, as they were resolved.
  func configuration(
    of subjects: [any Subject], on samples: SampleSet, from data: DataArgument
  ) -> [JSONText.Member] {
    let source = data.path ?? (samples.hasImages ? "bundled" : "the feature files")
    return [
      .init("subjects", .array(subjects.map(\.description))),
      .init(
        "data",
        [
          "path": .string(source), "images": .integer(samples.count),
          "labels": data.labels.map(JSONText.string) ?? .null,
          "shuffle_seed": data.shuffleSeed.map { .integer(Int(truncatingIfNeeded: $0)) } ?? .null,
        ]),
      .init("batch_size", .integer(options.batchSize)),
      .init("on_bad_image", .string(options.badImages.rawValue)),
    ]
  }
}
