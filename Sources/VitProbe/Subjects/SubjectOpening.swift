import Checkpoints
import Models

/// Opens what an argument names: a model with its weights, or a file of features.
///
/// A file that says it holds features, as those of `capture` do, is one; any other is taken for
/// weights first, and for features if it is of no known family and has no tensor of rank 1.
///
/// A file of `torch.export.save` or an ONNX model is the network of its graph, or of an architecture that is named.
///
/// - Parameters:
///   - label: the name in tables; if nil, what the file says, else its stem.
/// - Throws: ``VitProbeError`` or a library's error that says what is missing or does not fit.
public func openSubject(
  _ argument: SubjectArgument, label: String?, preprocessing: PreprocessingOverrides,
  features: FeatureLayout
) throws -> any Subject {
  let name = label ?? argument.defaultLabel
  let architecture = try argument.architecture.map { try Architecture($0) }
  let path: String
  switch argument.source {
  case .random(let seed):
    guard let architecture else {
      throw VitProbeError(.usage, "\(argument.text): random weights need an architecture")
    }
    let loaded = try ModelLoader.random(
      architecture, seed: seed, imageSize: preprocessing.imageSize)
    return try ModelSubject(loaded, label: name, inputFiles: [], overrides: preprocessing)
  case .demo(let name): path = try BundledData.checkpoint(name)
  case .path(let given): path = given
  }
  let checkpoint = try Checkpoint.open(path, entry: argument.weights.entry)
  if let program = checkpoint.program, architecture == nil {
    var overrides = features.graph
    if overrides.prefixTokens == nil { overrides.prefixTokens = features.prefixTokens }
    let beside = try GraphSideFile(beside: path)
    if let beside { overrides = beside.adding(overrides) }
    let loaded = try GraphLoader.load(checkpoint, program, overrides: overrides) {
      Glob($0).matches($1)
    }
    var report = loaded.report
    if let beside { report.warnings.append("what layers are was read from \(beside.path)") }
    return try ModelSubject(
      loaded.network, report: report, preprocessing: loaded.preprocessing, label: name,
      inputFiles: checkpoint.files + (beside.map { [$0.path] } ?? []), overrides: preprocessing)
  }
  guard features.graph.isEmpty else {
    throw VitProbeError(
      .usage,
      "\(argument.text) is no exported graph: `kinds`, `layouts` and `blocks` are for graphs")
  }
  func featureSubject() throws(CheckpointError) -> FeatureSubject {
    try FeatureSubject(
      checkpoint, label: label, defaultLabel: argument.defaultLabel, layout: features)
  }
  if try FeatureMetadata.marks(checkpoint) {
    guard architecture == nil else {
      throw VitProbeError(
        .usage, "\(argument.text): the file holds features, not weights; leave out the ARCH@")
    }
    return try featureSubject()
  }
  let loaded: LoadedModel
  do throws(ModelError) {
    loaded = try ModelLoader.load(
      checkpoint, as: architecture, imageSize: preprocessing.imageSize,
      selection: argument.weights)
  } catch {
    guard error.kind == .unrecognised, architecture == nil, FeatureFile.isPlausible(checkpoint)
    else { throw error }
    return try featureSubject()
  }
  return try ModelSubject(
    loaded, label: name, inputFiles: checkpoint.files, overrides: preprocessing,
    epoch: checkpoint.metadata["epoch"].flatMap { Int($0) },
    classNames: checkpoint.classNames)
}
