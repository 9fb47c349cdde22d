import Glibc
import Testing

@testable import Tensors

/// Results have the same bits however many threads work.
@Suite(.serialized) struct ThreadCountTests {
  static let wide: [OperationCase] = [
    .init(
      name: "linear of 1601 rows", shapes: [[1601, 40], [30, 40], [30]], isLarge: true,
      run: { linear($0[0], $0[1], bias: $0[2], activation: .gelu) }, reference: { $0[0] }),
    .init(
      name: "convolution of many tiles", shapes: [[4, 32, 33, 8], [16, 3, 3, 8]], isLarge: true,
      run: { convolution($0[0], $0[1], window: .init(kernel: 3, stride: 1, padding: 1)) },
      reference: { $0[0] }),
    .init(
      name: "layer norm of many rows", shapes: [[3000, 192], [192], [192]], isLarge: true,
      run: { $0[0].layerNorm(gamma: $0[1], beta: $0[2], epsilon: 1e-5) }, reference: { $0[0] }),
    .init(
      name: "attention of many heads", shapes: [[8, 33, 3 * 48]], isLarge: true,
      run: { attention(qkv: $0[0], heads: 3, scale: 0.25) }, reference: { $0[0] }),
  ]

  @Test(arguments: OperationCase.all + wide)
  func oneTwoAndThreeThreadsAgreeBitForBit(_ operation: OperationCase) {
    defer { Threads.configure(count: 2) }
    let inputs = operation.inputs()
    var random = Random(seed: 9)
    let directions = inputs.map { random.normal($0.shape) }
    func everything(threads: Int) -> [[UInt32]] {
      Threads.configure(count: threads)
      let x = inputs.map { $0.tracked() }
      let y = operation.run(x)
      let ones = Tensor(repeating: 1, shape: y.shape)
      let first = pullback([(y, ones)], withRespectTo: x, recording: true)
      let roots = zip(first, directions).compactMap { g, v in g.map { (value: $0, cotangent: v) } }
      let second = pullback(roots, withRespectTo: x)
      return ([operation.run(inputs), y] + (first + second).compactMap(\.self)).map {
        $0.values.map(\.bitPattern)
      }
    }
    let one = everything(threads: 1)
    #expect(everything(threads: 2) == one)
    #expect(everything(threads: 3) == one)
  }

  /// Three images are cut into four tiles, the first of them empty; a thread that has computed nothing
  /// yet has no scratch memory.
  @Test func anEmptyTileComesFirstOnAFreshThread() {
    defer { Threads.configure(count: 2) }
    Threads.configure(count: 1)
    final class Result: @unchecked Sendable { var values: [[Float]] = [] }
    @Sendable func gradients() -> [[Float]] {
      var random = Random(seed: 4)
      let (x, w) = (
        random.normal([3, 24, 24, 4]).tracked(), random.normal([4, 3, 3, 4]).tracked()
      )
      let y = convolution(x, w, window: .init(kernel: 3, stride: 1, padding: 1))
      let cotangent = random.normal(y.shape)
      return pullback([(y, cotangent)], withRespectTo: [x, w]).compactMap { $0?.values }
    }
    let fresh = Result()
    var thread = pthread_t()
    let body = Unmanaged.passRetained(Box { fresh.values = gradients() })
    let status = pthread_create(
      &thread, nil,
      { pointer in
        if let pointer { Unmanaged<Box>.fromOpaque(pointer).takeRetainedValue().body() }
        return nil
      }, body.toOpaque())
    #expect(status == 0)
    pthread_join(thread, nil)
    #expect(fresh.values.count == 2)
    #expect(fresh.values == gradients())
  }

  private final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}
