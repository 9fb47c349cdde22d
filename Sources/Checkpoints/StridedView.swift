/// Sizes and strides of a view of a storage, in elements.
enum StridedView {
  /// The largest number of axes; more is no honest tensor.
  static let maximumRank = 64
  /// A view may repeat elements of its storage (stride 0), up to this many.
  static let maximumExpanded = 1 << 26

  /// Elements from the first of a view to its last in memory, inclusive; nil if that does not fit 64 bits.
  static func span(_ shape: [Int], _ strides: [Int]) -> Int? {
    if shape.contains(0) { return 0 }
    var last = 0
    for (extent, stride) in zip(shape, strides) {
      guard let reach = checkedProduct([extent - 1, stride]), let sum = checkedSum(last, reach)
      else { return nil }
      last = sum
    }
    return checkedSum(last, 1)
  }

  /// Whether a view is row-major without holes; the stride of an axis of extent 1 is arbitrary.
  static func isDense(_ shape: [Int], _ strides: [Int]) -> Bool {
    var expected = 1
    for (extent, stride) in zip(shape, strides).reversed() where extent != 1 {
      if stride != expected { return false }
      expected *= extent
    }
    return true
  }
}
