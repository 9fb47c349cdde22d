import Synchronization

/// Counts what an abstract evaluation would cost.
///
/// A model run on abstract tensors executes no arithmetic, yet its tensors come and go as in a real
/// run: the meter sees the memory that would be in use at once, and the multiply-adds of each
/// operation. Plans, memory estimates and model summaries all come from this one mechanism. Counts
/// beyond the largest integer stay there; see ``isSaturated``.
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

  /// Whether something was larger than an integer counts, so that no number here can be believed.
  public var isSaturated: Bool {
    counts.withLock { max($0.peak, $0.made, $0.multiplyAdds) == .max }
  }

  func allocate(_ bytes: Int) {
    counts.withLock {
      $0.live = $0.live.plus(bytes)
      $0.made = $0.made.plus(bytes)
      $0.peak = max($0.peak, $0.live)
    }
  }
  func release(_ bytes: Int) { counts.withLock { $0.live = max(0, $0.live - bytes) } }
  func add(multiplyAdds: Int) {
    counts.withLock { $0.multiplyAdds = $0.multiplyAdds.plus(multiplyAdds) }
  }
}

extension Int {
  /// The product of two counts; the largest integer if it is larger.
  func times(_ other: Int) -> Int {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }

  /// The sum of two counts; the largest integer if it is larger.
  func plus(_ other: Int) -> Int {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
