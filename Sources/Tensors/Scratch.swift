import CKernels

/// A buffer of this thread's own, of at least `count` floats; slots 0 to 3 are independent. What it holds
/// is lost with the next call for the same slot.
func scratch(_ slot: Int32, _ count: Int) -> UnsafeMutablePointer<Float> {
  guard let pointer = ck_scratch(slot, count) else {
    preconditionFailure("The system has no memory left for \(count) floats of scratch")
  }
  return pointer
}
