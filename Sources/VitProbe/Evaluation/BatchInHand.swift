import Images
import Models
import Synchronization
import Tensors

/// A minibatch prepared for a model, and how far its pass has come: decoded once for all variants.
public final class BatchInHand: Sendable {
  /// Which images, and their labels.
  public let minibatch: Minibatch
  /// The normalised images `[N, H, W, C]`.
  public let images: Tensor
  /// Images that could not be read.
  let skipped: [SkippedImage]
  private let passes = Mutex<[PartialPass]>([])

  /// States that are kept: a thread may be a block behind another.
  static let keptPasses = 2

  init(_ minibatch: Minibatch, images: Tensor, skipped: [SkippedImage] = []) {
    (self.minibatch, self.images, self.skipped) = (minibatch, images, skipped)
  }

  /// The pass of the network as it is, up to a block; nil for a network without blocks.
  ///
  /// It goes on from the furthest place before that is known, so that changes in the order of blocks
  /// cost what comes behind them.
  func pass(of network: any Network, before block: Int) -> PartialPass? {
    let known = passes.withLock { passes in
      passes.filter { $0.block <= block }.max { $0.block < $1.block }
    }
    guard var pass = known ?? network.begin(images, Context()) else { return nil }
    guard pass.block < block || known == nil else { return pass }
    while pass.block < block { pass = pass.next() }
    let reached = pass
    passes.withLock { passes in
      guard !passes.contains(where: { $0.block == reached.block }) else { return }
      passes.append(reached)
      passes.sort { $0.block > $1.block }
      passes.removeLast(max(0, passes.count - Self.keptPasses))
    }
    return pass
  }
}

/// The minibatches that variants are at work on.
final class BatchesInHand: Sendable {
  private struct Entry: Sendable {
    let batch: Int
    let model: Int
    let value: BatchInHand
  }
  private let entries = Mutex<[Entry]>([])

  /// Minibatches that are kept: threads may be at the end of one and the beginning of the next.
  static let limit = 2

  /// A minibatch for a model; made where it is not in hand.
  func batch(
    _ batch: Int, model: Int, making: () throws -> BatchInHand
  ) rethrows -> BatchInHand {
    let known = entries.withLock { entries in
      entries.first { $0.batch == batch && $0.model == model }?.value
    }
    if let known { return known }
    let made = try making()
    return entries.withLock { entries in
      // Another thread may have been faster; its passes have come further.
      if let other = entries.first(where: { $0.batch == batch && $0.model == model }) {
        return other.value
      }
      entries.append(Entry(batch: batch, model: model, value: made))
      entries.removeFirst(max(0, entries.count - Self.limit))
      return made
    }
  }
}
