import Testing

@testable import Tensors

/// What a pass carries in training mode, and that evaluation is left alone.
@Suite struct ContextTests {
  private let ones = Tensor(repeating: 1, shape: [200, 300])

  private func training(
    dropout: Double = 0, stochasticDepth: Double = 0, seed: UInt64 = 1, step: UInt64 = 0
  ) -> Context {
    Context(
      training: Training(
        key: RandomKey(seed: seed, step: step), dropout: dropout, stochasticDepth: stochasticDepth,
        buffers: UpdatedBuffers()))
  }

  @Test func evaluationIsTheIdentity() {
    for context in [Context(), training()] {
      #expect(context.dropout(at: "a") == nil)
      #expect(context.branch(Tap("a", .mlp, layout: .vector)) == nil)
      #expect(context.inner(Tap("a", .mlp, layout: .vector)) == nil)
      #expect(context.dropout(ones, at: "a").values == ones.values)
      #expect(context.stochasticDepth(ones, at: "a").values == ones.values)
    }
  }

  /// As many zeros as the probability says, within five standard deviations, and the mean stays.
  @Test(arguments: [0.1, 0.5, 0.9])
  func dropoutLeavesOutWhatItShould(_ rate: Double) {
    let values = training(dropout: rate).dropout(ones, at: "here").values
    let zeros = Double(values.count { $0 == 0 })
    let count = Double(values.count)
    #expect(abs(zeros - rate * count) < 5 * (count * rate * (1 - rate)).squareRoot())
    #expect(values.allSatisfy { $0 == 0 || $0 == Float(1 / (1 - rate)) })
  }

  @Test func masksDependOnSeedStepAndPlaceAlone() {
    func mask(_ context: Context, _ place: String) -> [Float] {
      context.dropout(ones, at: place).values
    }
    let first = mask(training(dropout: 0.5), "a")
    #expect(mask(training(dropout: 0.5), "a") == first)
    #expect(mask(training(dropout: 0.5), "b") != first)
    #expect(mask(training(dropout: 0.5, seed: 2), "a") != first)
    #expect(mask(training(dropout: 0.5, step: 1), "a") != first)
    // Fewer values have the same masks as the first of many.
    let few = training(dropout: 0.5).dropout(ones.slice(axis: 0, start: 0, length: 3), at: "a")
    #expect(few.values == Array(first.prefix(900)))
  }

  /// Whole images are left out: none in the first block, most in the last.
  @Test func stochasticDepthGrowsWithDepth() {
    let context = training(stochasticDepth: 0.6)
    func leftOut(_ index: Int) -> Int {
      let values = context.inBlock(index, of: 4).stochasticDepth(ones, at: "block").values
      let rows = (0..<200).map { Array(values[($0 * 300)..<(($0 + 1) * 300)]) }
      #expect(rows.allSatisfy { Set($0).count == 1 })
      let rate = 0.6 * Double(index) / 3
      #expect(rows.allSatisfy { $0[0] == 0 || $0[0] == Float(1 / (1 - rate)) })
      return rows.count { $0[0] == 0 }
    }
    #expect(leftOut(0) == 0)
    for index in 1..<4 {
      let rate = 0.6 * Double(index) / 3
      #expect(abs(Double(leftOut(index)) - 200 * rate) < 5 * (200 * rate * (1 - rate)).squareRoot())
    }
  }

  /// A branch is offered to whoever listens, and then left out in part.
  @Test func aBranchIsSeenBeforeItIsDropped() throws {
    final class Listener: Probe {
      var seen: [Float] = []
      func wants(_ tap: Tap) -> Bool { true }
      func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
        seen = value.values
        return value
      }
    }
    let listener = Listener()
    let context = Context(
      probe: listener,
      training: Training(
        key: RandomKey(seed: 1, step: 0), dropout: 0.5, buffers: UpdatedBuffers()))
    let tap = Tap("a.branch", .mlp, layout: .vector)
    let branch = try #require(context.branch(tap, after: { 2 * $0 }))
    let result = branch(ones).values
    #expect(listener.seen == (2 * ones).values)
    #expect(Set(result) == [0, 4])
    let same = training(dropout: 0.5).dropout(2 * ones, at: "a.branch").values
    #expect(result == same)
  }

  /// The derivative of dropout is its mask.
  @Test func dropoutHasADerivative() {
    let x = ones.tracked()
    let y = training(dropout: 0.25).dropout(x, at: "a")
    #expect(gradient(of: y.sum(), withRespectTo: [x])[0].values == y.values)
  }
}
