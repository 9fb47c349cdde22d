extension ModelConfiguration {
  /// Throws unless `value` lies in `range`.
  func require(_ name: String, _ value: Int, in range: ClosedRange<Int>) throws(ModelError) {
    guard range.contains(value) else {
      throw ModelError(
        .badArgument, place: "\(Self.family)(\(name)=…)", found: "\(value)",
        expected: "\(range.lowerBound) to \(range.upperBound)")
    }
  }

  /// Throws unless there is one value for each stage and all lie in `range`.
  func requireStages(
    _ name: String, _ values: [Int], count: ClosedRange<Int>, in range: ClosedRange<Int>
  ) throws(ModelError) {
    guard count.contains(values.count), values.allSatisfy(range.contains) else {
      let numbers =
        count.lowerBound == count.upperBound
        ? "\(count.lowerBound)" : "\(count.lowerBound) to \(count.upperBound)"
      throw ModelError(
        .badArgument, place: "\(Self.family)(\(name)=…)", found: values.argument,
        expected: "\(numbers) numbers, one a stage, of \(range.lowerBound) to \(range.upperBound)")
    }
  }

  /// Throws unless an epsilon lies in 0..<1.
  func require(_ name: String, _ epsilon: Double) throws(ModelError) {
    guard epsilon >= 0, epsilon < 1 else {
      throw ModelError(
        .badArgument, place: "\(Self.family)(\(name)=…)", found: "\(epsilon)", expected: "0 to 1")
    }
  }
}
