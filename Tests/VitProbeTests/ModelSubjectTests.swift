import Checkpoints
import Images
import Models
import Tensors
import TestSupport
import Testing

@testable import VitProbe

@Suite struct ModelSubjectTests {
  @Test func summaryTellsRandomWeights() throws {
    let model = try Samples.model(Samples.vit)
    #expect(model.summary.hasSuffix(" parameters, random weights"))
  }

  /// Settings beside the weights need not be of as many channels as the weights.
  @Test func preprocessingOfOtherChannelsIsRefused() throws {
    let scratch = Scratch()
    let parameters = try Samples.model(Samples.vit).network.parameters
    let path = scratch.file("grey.safetensors")
    var writer = try SafetensorsWriter(
      creating: path,
      tensors: parameters.map {
        .init(name: $0.specification.name, shape: $0.specification.storedShape)
      }, metadata: ["preprocessing": #"{"mean":[0.5],"std":[0.25]}"#])
    for (index, parameter) in parameters.enumerated() {
      try parameter.specification.layout.toStored(parameter.tensor).withValues {
        (values) throws(CheckpointError) in try writer.append(values, to: index)
      }
    }
    try writer.finish()
    let loaded = try ModelLoader.load(Checkpoint.open(path), as: Architecture(Samples.vit))
    let error = failure { _ = try ModelSubject(loaded, label: "m", inputFiles: []) }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("1 channel(s)") == true)
    var overrides = PreprocessingOverrides()
    (overrides.mean, overrides.std) = ([0.5], [0.25])
    let subject = try ModelSubject(loaded, label: "m", inputFiles: [], overrides: overrides)
    #expect(subject.transform.mean == [0.5, 0.5, 0.5])
  }
}
