import Images
import Reports
import StrictJSON

extension Manifest.Input {
  /// Files with their digests: those of subjects in the order of their paths, then those of data.
  static func reading(_ files: [String], data: [InputFile]) throws -> [Manifest.Input] {
    var inputs: [Manifest.Input] = []
    for file in Set(files).sorted() { inputs.append(try Manifest.Input(reading: file)) }
    for file in data {
      let digest = SHA256()
      var size = 0
      try file.readChunks {
        digest.update($0)
        size += $0.count
      }
      inputs.append(Manifest.Input(path: file.path, sha256: digest.finish(), size: size))
    }
    return inputs
  }
}

extension FeatureJob {
  /// The settings that all commands on features share, as they were resolved.
  func configuration(
    of subjects: [any Subject], on samples: SampleSet, from data: DataArgument
  ) -> [JSONValue.Member] {
    let source = data.path ?? (samples.hasImages ? "bundled" : "the feature files")
    return [
      .init("subjects", .array(subjects.map(\.description))),
      .init(
        "data",
        [
          "path": .string(source), "images": .integer(samples.count),
          "labels": data.labels.map(JSONValue.string) ?? .null,
          "shuffle_seed": data.shuffleSeed.map { .integer(Int(truncatingIfNeeded: $0)) } ?? .null,
        ]),
      .init("batch_size", .integer(options.batchSize)),
      .init("on_bad_image", .string(options.badImages.rawValue)),
    ]
  }
}

extension Manifest.Skip {
  /// An image that could not be read.
  init(_ skipped: SkippedImage) { self.init(image: skipped.id, reason: skipped.reason) }
}
