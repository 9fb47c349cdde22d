import Tensors

/// An image classifier as a value built from a configuration and weights. Its forward pass is written
/// once, against tensor operations: run plainly it records nothing; run on tracked weights, the same
/// code can be differentiated.
public protocol VisionModel: Sendable {
  /// What is carried from block to block.
  associatedtype State

  /// From images `[N, H, W, C]` to the state before the first block.
  func embed(_ images: Tensor, _ context: Context) -> State

  /// The number of blocks.
  var blockCount: Int { get }

  /// One block.
  func block(_ index: Int, _ state: State, _ context: Context) -> State

  /// From the state after the last block to logits `[N, classes]` (pooled features if there is no head).
  func head(_ state: State, _ context: Context) -> Tensor

  /// How many classes the head tells apart; nil for a backbone without a head.
  var classCount: Int? { get }
}

extension VisionModel {
  /// The logits `[N, classes]` of normalised images `[N, H, W, C]`.
  public func callAsFunction(_ images: Tensor, _ context: Context = Context()) -> Tensor {
    var state = embed(images, context)
    for index in 0..<blockCount {
      state = block(index, state, context.inBlock(index, of: blockCount))
    }
    return context.tap(Tap("logits", .logits, layout: .vector), head(state, context))
  }
}
