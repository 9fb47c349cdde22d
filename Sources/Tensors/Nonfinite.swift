import CKernels

extension Tensor {
  /// The place in row-major order of the first value that is NaN or infinite, and that value; nil if
  /// all are finite.
  public var firstNonfinite: (place: Int, value: Float)? {
    withValues { values in
      guard let base = values.baseAddress else { return nil }
      let place = ck_first_nonfinite(base, values.count)
      return place < values.count ? (place, values[place]) : nil
    }
  }
}
