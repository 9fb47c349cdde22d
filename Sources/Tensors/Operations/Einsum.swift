/// A sum of products of two tensors by Einstein's convention, as in `bhid,bhjd->bhij`: axes with one letter
/// go together, and letters that the result does not have are summed over.
public struct Einsum: Sendable, Hashable {
  private let a: [Character]
  private let b: [Character]
  private let result: [Character]

  /// - Parameters:
  ///   - equation: two operands and the result. Nil where a letter occurs twice in one of them or the
  ///     result has one that no operand has, and for forms that are not taken: an ellipsis, no arrow, or
  ///     other numbers of operands.
  public init?(_ equation: String) {
    let text = equation.filter { $0 != " " }
    guard let arrow = text.firstRange(of: "->"), text.count(where: { $0 == "," }) == 1,
      let comma = text.firstIndex(of: ","), comma < arrow.lowerBound
    else { return nil }
    a = Array(text[..<comma])
    b = Array(text[text.index(after: comma)..<arrow.lowerBound])
    result = Array(text[arrow.upperBound...])
    let known = Set(a + b)
    guard [a, b, result].allSatisfy({ Set($0).count == $0.count && $0.allSatisfy(\.isLetter) }),
      result.allSatisfy(known.contains)
    else { return nil }
  }

  /// The shape of the result; nil where the operands do not fit the equation.
  public func shape(_ x: Shape, _ y: Shape) -> Shape? {
    guard x.rank == a.count, y.rank == b.count else { return nil }
    var extents: [Character: Int] = [:]
    for (letter, extent) in zip(a + b, x.dimensions + y.dimensions)
    where extents.updateValue(extent, forKey: letter) ?? extent != extent { return nil }
    return Shape(result.map { extents[$0] ?? 1 })
  }

  /// The sum of products.
  ///
  /// - Precondition: the operands fit: ``shape(_:_:)``.
  public func callAsFunction(_ x: Tensor, _ y: Tensor) -> Tensor {
    guard let shape = shape(x.shape, y.shape) else {
      preconditionFailure("Shapes \(x.shape) and \(y.shape) do not fit an equation")
    }
    // What one operand alone has and the result has not is summed before.
    let (x, first) = summed(x, a, over: { !b.contains($0) && !result.contains($0) })
    let (y, second) = summed(y, b, over: { !a.contains($0) && !result.contains($0) })
    let both = first.filter(second.contains)
    let batch = both.filter(result.contains)
    let inner = both.filter { !result.contains($0) }
    let rows = first.filter { !both.contains($0) }
    let cols = second.filter { !both.contains($0) }
    func laidOut(_ x: Tensor, _ letters: [Character], _ groups: [[Character]]) -> Tensor {
      let axes = groups.joined().compactMap { letters.firstIndex(of: $0) }
      let permuted = axes == Array(axes.indices) ? x : x.permuted(axes)
      var at = 0
      return permuted.reshaped(
        Shape(
          groups.map { group in
            defer { at += group.count }
            return permuted.shape.dimensions[at..<at + group.count].reduce(1, *)
          }))
    }
    let product = BatchedMatMul()(
      laidOut(x, first, [batch, rows, inner]), laidOut(y, second, [batch, inner, cols]))
    let order = batch + rows + cols
    let extents = order.map { letter in
      shape[result.firstIndex(of: letter) ?? 0]
    }
    let axes = result.compactMap { order.firstIndex(of: $0) }
    let whole = product.reshaped(Shape(extents))
    return axes == Array(axes.indices) ? whole : whole.permuted(axes)
  }

  private func summed(
    _ x: Tensor, _ letters: [Character], over: (Character) -> Bool
  ) -> (Tensor, [Character]) {
    let axes = letters.indices.filter { over(letters[$0]) }
    if axes.isEmpty { return (x, letters) }
    return (x.sum(axes: axes), letters.filter { !over($0) })
  }
}
