import CKernels

/// Memory of this thread's own, for as long as the value lives; its contents are undefined at first.
///
/// Each thread has one buffer for each purpose. Debug builds stop where one is taken that is in use.
public struct ScratchMemory: ~Copyable {
  /// What a buffer is for.
  public enum Purpose: Int32, Sendable {
    /// Attention maps of one head.
    case maps
    /// What a product or transform reads: patches, normalised rows, values brought together.
    case operand
    /// What one wrote and another reads.
    case result

    var slot: Int32 {
      switch self {
      case .maps: Int32(CK_SCRATCH_MAPS)
      case .operand: Int32(CK_SCRATCH_OPERAND)
      case .result: Int32(CK_SCRATCH_RESULT)
      }
    }
  }

  /// The first of the floats.
  public let pointer: UnsafeMutablePointer<Float>
  private let purpose: Purpose

  /// At least `count` floats.
  public init(_ purpose: Purpose, _ count: Int) {
    #if DEBUG
      precondition(
        ck_scratch_claim(purpose.slot) != 0, "The scratch memory for \(purpose) is in use")
    #endif
    guard let pointer = ck_scratch(purpose.slot, count) else {
      preconditionFailure("The system has no memory left for \(count) floats of scratch")
    }
    (self.pointer, self.purpose) = (pointer, purpose)
  }

  deinit {
    #if DEBUG
      ck_scratch_release(purpose.slot)
    #endif
  }
}
