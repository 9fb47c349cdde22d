import Diagnostics
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
  /// The output of the model that each image's class is; nil without a label.
  public let labels: [Int?]
  /// Images that could not be read.
  let skipped: [SkippedImage]
  private let passes = Mutex<[PartialPass]>([])
  private let whole = Mutex<WholePass?>(nil)

  init(
    _ minibatch: Minibatch, images: Tensor, labels: [Int?], skipped: [SkippedImage] = []
  ) {
    (self.minibatch, self.images, self.labels) = (minibatch, images, labels)
    self.skipped = skipped
  }

  /// The pass of the network as it is; made once.
  func whole(making: () throws -> WholePass) throws -> WholePass {
    try whole.withLock { whole in
      if let whole { return whole }
      let made = try making()
      whole = made
      return made
    }
  }

  /// The pass of the network as it is, up to a block; nil for a network without blocks.
  ///
  /// It goes on from the furthest place before that is known, so that changes in the order of blocks
  /// cost what comes behind them.
  ///
  /// - Parameter limit: states that are kept.
  func pass(of network: any Network, before block: Int, keeping limit: Int) -> PartialPass? {
    let known = passes.withLock { passes in
      passes.filter { $0.block <= block }.max { $0.block < $1.block }
    }
    guard var pass = known ?? network.begin(images, Context()) else { return nil }
    guard pass.block < block || known == nil else { return pass }
    while pass.block < block { pass = pass.next() }
    keep(pass, of: limit)
    return pass
  }

  /// Keeps a state of the pass of the network as it is.
  ///
  /// - Parameter limit: states that are kept, the furthest of them.
  func keep(_ pass: PartialPass, of limit: Int) {
    passes.withLock { passes in
      guard !passes.contains(where: { $0.block == pass.block }) else { return }
      passes.append(pass)
      passes.sort { $0.block > $1.block }
      passes.removeLast(max(0, passes.count - limit))
    }
  }
}
