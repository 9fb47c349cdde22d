import Testing

@testable import VitProbe

@Suite struct ModelSubjectTests {
  @Test func summaryTellsRandomWeights() throws {
    let model = try Samples.model(Samples.vit)
    #expect(model.summary.hasSuffix(" parameters, random weights"))
  }
}
