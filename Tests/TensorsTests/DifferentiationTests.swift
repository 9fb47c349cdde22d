import Testing

@testable import Tensors

@Suite struct DifferentiationTests {
  @Test func gradientOfALinearLayerIsTheOuterProduct() {
    let x = Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])
    let w = Tensor([1, 0, -1, 2, 1, 0], shape: [2, 3]).tracked()
    let g = gradient(of: linear(x, w).sum(), withRespectTo: [w])[0]
    #expect(g.shape == [2, 3])
    #expect(g.values == [5, 7, 9, 5, 7, 9])
  }

  @Test func longHistoriesAreFreedWithoutRecursion() {
    var x = Tensor([1], shape: [1]).tracked()
    for _ in 0..<200_000 { x = x + 0 }
    #expect(x.values == [1])
  }
}
