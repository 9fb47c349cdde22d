import Checkpoints
import Models

/// Opens what an argument names: a model with its weights, or a file of features.
///
/// - Throws: ``VitProbeError`` or a library's error that says what is missing or does not fit.
public func openSubject(
  _ argument: SubjectArgument, label: String, preprocessing: PreprocessingOverrides,
  features: FeatureLayout
) throws -> any Subject {
  let architecture = try argument.architecture.map { try Architecture($0) }
  let path: String
  switch argument.source {
  case .random(let seed):
    guard let architecture else {
      throw VitProbeError(.usage, "\(argument.text): random weights need an architecture")
    }
    let loaded = try ModelLoader.random(
      architecture, seed: seed, imageSize: preprocessing.imageSize)
    return try ModelSubject(loaded, label: label, inputFiles: [], overrides: preprocessing)
  case .demo(let name): path = try BundledData.checkpoint(name)
  case .path(let given): path = given
  }
  let checkpoint = try Checkpoint.open(path)
  let loaded = try ModelLoader.load(
    checkpoint, as: architecture, imageSize: preprocessing.imageSize)
  return try ModelSubject(
    loaded, label: label, inputFiles: checkpoint.files, overrides: preprocessing,
    epoch: checkpoint.metadata["epoch"].flatMap { Int($0) })
}
