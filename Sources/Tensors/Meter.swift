import Synchronization

/// Counts what an abstract evaluation would cost.
///
/// A model run on abstract tensors executes no arithmetic, yet its tensors come and go as in a real
/// run: the meter sees the memory that would be in use at once, and the multiply-adds of each
/// operation. Plans, memory estimates and model summaries all come from this one mechanism.
public final class Meter: Sendable {
  private struct Counts {
    var live = 0
    var peak = 0
    var made = 0
    var multiplyAdds = 0
  }
  private let counts = Mutex(Counts())

  /// A meter that has counted nothing.
  public init() {}

  /// The most bytes in use at one time.
  public var peakBytes: Int { counts.withLock { $0.peak } }

  /// Bytes of all tensors made so far, those in use no more included: what a pass leaves that keeps
  /// everything.
  public var madeBytes: Int { counts.withLock { $0.made } }

  /// The bytes in use now.
  public var liveBytes: Int { counts.withLock { $0.live } }

  /// Multiply-adds of products and convolutions so far.
  public var multiplyAdds: Int { counts.withLock { $0.multiplyAdds } }

  func allocate(_ bytes: Int) {
    counts.withLock {
      $0.live += bytes
      $0.made += bytes
      $0.peak = max($0.peak, $0.live)
    }
  }
  func release(_ bytes: Int) { counts.withLock { $0.live -= bytes } }
  func add(multiplyAdds: Int) { counts.withLock { $0.multiplyAdds += multiplyAdds } }
}
