import Tensors

/// A forward pass that has come up to one of a network's blocks and can be gone on with in several ways:
/// what lies before a change is computed once.
public struct PartialPass: Sendable {
  /// The block that comes next, from 0.
  public let block: Int
  /// The blocks of the network.
  public let blockCount: Int
  private let advance: @Sendable (Context) -> PartialPass
  private let complete: @Sendable (Context) -> Tensor

  /// A pass of a model with the state before a block.
  init<Model: VisionModel>(_ model: Model, before block: Int, _ state: Model.State) {
    self.block = block
    blockCount = model.blockCount
    advance = { context in
      PartialPass(
        model, before: block + 1,
        model.block(block, state, context.inBlock(block, of: model.blockCount)))
    }
    complete = { context in model.run(from: block, state, context) }
  }

  private init(
    block: Int, blockCount: Int, advance: @escaping @Sendable (Context) -> PartialPass,
    complete: @escaping @Sendable (Context) -> Tensor
  ) {
    (self.block, self.blockCount) = (block, blockCount)
    (self.advance, self.complete) = (advance, complete)
  }

  /// The same pass, gone on with in products of the given precision.
  func computing(in precision: ProductPrecision) -> PartialPass {
    PartialPass(
      block: block, blockCount: blockCount,
      advance: { context in precision { advance(context) }.computing(in: precision) },
      complete: { context in precision { complete(context) } })
  }

  /// One block further.
  ///
  /// - Precondition: the next block is not the last, of which ``finish(_:)`` makes only what the head reads.
  public func next(_ context: Context = Context()) -> PartialPass {
    precondition(block + 1 < blockCount, "The last block belongs to the end of the pass")
    return advance(context)
  }

  /// The network's output, with the same bits as a whole pass.
  public func finish(_ context: Context = Context()) -> Tensor { complete(context) }
}
