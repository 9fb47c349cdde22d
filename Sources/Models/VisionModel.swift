import Tensors

/// An image classifier as a value built from a configuration and weights. Its forward pass is written
/// once, against tensor operations: run plainly it records nothing; run on tracked weights, the same
/// code can be differentiated.
public protocol VisionModel: Sendable {
  /// What is carried from block to block.
  associatedtype State: Sendable

  /// From images `[N, H, W, C]` to the state before the first block.
  func embed(_ images: Tensor, _ context: Context) -> State

  /// The number of blocks.
  var blockCount: Int { get }

  /// One block.
  func block(_ index: Int, _ state: State, _ context: Context) -> State

  /// From the state before the last block to the head's output. A model whose head reads few tokens
  /// makes no others here; the state of every ``block(_:_:_:)`` is whole.
  func finish(_ state: State, _ context: Context) -> Tensor

  /// From the state after the last block to logits `[N, classes]` (pooled features if there is no head).
  func head(_ state: State, _ context: Context) -> Tensor

  /// How many classes the head tells apart; nil for a backbone without a head.
  var classCount: Int? { get }
}

extension VisionModel {
  /// The last block, then the head.
  public func finish(_ state: State, _ context: Context) -> Tensor {
    head(blockCount > 0 ? block(blockCount - 1, state, context) : state, context)
  }

  /// The logits `[N, classes]` of normalised images `[N, H, W, C]`; without a head, pooled features.
  public func callAsFunction(_ images: Tensor, _ context: Context = Context()) -> Tensor {
    run(from: 0, embed(images, context), context)
  }

  /// The rest of a pass that has come up to a block.
  func run(from first: Int, _ state: consuming State, _ context: Context) -> Tensor {
    for index in first..<max(first, blockCount - 1) {
      state = block(index, state, context.inBlock(index, of: blockCount))
    }
    let output = finish(state, context.inBlock(blockCount - 1, of: blockCount))
    // Of a backbone the output has the same name, but is no class scores.
    let kind = classCount == nil ? Tap.Kind.other : .logits
    return context.tap(Tap("logits", kind, layout: .vector), output)
  }
}
