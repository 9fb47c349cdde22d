/// The extents of a tensor's axes, outermost first. An empty shape is a scalar.
public struct Shape: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
  /// The extent of each axis.
  public let dimensions: [Int]

  /// A shape with the given extents.
  ///
  /// - Precondition: no extent is negative.
  public init(_ dimensions: [Int]) {
    precondition(dimensions.allSatisfy { $0 >= 0 }, "Negative extent in shape \(dimensions)")
    self.dimensions = dimensions
  }

  /// A shape written as a literal, `[2, 3]`.
  public init(arrayLiteral elements: Int...) { self.init(elements) }

  /// The number of axes.
  public var rank: Int { dimensions.count }

  /// The number of values; the largest integer if there are more.
  public var count: Int { dimensions.reduce(1) { $0.times($1) } }

  /// The extent of an axis; negative axes count from the end.
  public subscript(axis: Int) -> Int { dimensions[axis < 0 ? dimensions.count + axis : axis] }

  /// The extent of the last axis (1 for a scalar).
  public var last: Int { dimensions.last ?? 1 }

  /// The product of all extents but the last.
  public var rows: Int { dimensions.dropLast().reduce(1) { $0.times($1) } }

  /// The same shape with another last extent.
  public func replacingLast(_ extent: Int) -> Shape { Shape(dimensions.dropLast() + [extent]) }

  /// The same shape with one extent changed.
  public func replacing(axis: Int, with extent: Int) -> Shape {
    var copy = dimensions
    copy[axis < 0 ? copy.count + axis : axis] = extent
    return Shape(copy)
  }

  /// The extents of `axis`'s outside, of the axis, and of its inside, as products.
  func around(axis: Int) -> (outer: Int, count: Int, inner: Int) {
    let axis = axis < 0 ? rank + axis : axis
    return (
      Shape(Array(dimensions[..<axis])).count, dimensions[axis],
      Shape(Array(dimensions[(axis + 1)...])).count
    )
  }

  /// The extents in brackets, as in `[2, 3]`.
  public var description: String {
    "[" + dimensions.map(String.init).joined(separator: ", ") + "]"
  }
}
