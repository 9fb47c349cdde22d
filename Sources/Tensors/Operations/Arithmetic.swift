import CKernels

/// Runs an elementwise kernel over fixed pieces of `count` values.
func forEachPiece(of count: Int, _ body: @Sendable (_ first: Int, _ count: Int) -> Void) {
  Threads.forEachTile(of: count, target: 1 << 18, body)
}

typealias BinaryKernel =
  @convention(c) (
    UnsafePointer<Float>?, UnsafePointer<Float>?, UnsafeMutablePointer<Float>?, Int, Int, Int32
  ) -> Void

/// Carries out a kernel over `a` and `b`, which repeats to fill `a`.
func combine(_ a: Tensor, _ b: Tensor, into y: Tensor, _ kernel: BinaryKernel) {
  let broadcast = Broadcast(a.shape, b.shape)
  let (pa, pb, py) = (a.memory, b.memory, y.memory)
  let rows, cols, perRow: Int
  let mode: Int32
  switch broadcast.inner {
  case .same:
    forEachPiece(of: a.shape.count) { first, count in
      kernel(pa + first, pb + first, py + first, 1, count, Int32(CK_SAME))
    }
    return
  case _ where b.shape.count == 1:
    forEachPiece(of: a.shape.count) { first, count in
      kernel(pa + first, pb.pointer, py + first, 1, count, Int32(CK_ROW))
    }
    return
  case .suffix(let outer, let inner):
    (rows, cols, perRow, mode) = (outer, inner, 0, Int32(CK_SUFFIX))
  case .row(let outer, let inner): (rows, cols, perRow, mode) = (outer, inner, 1, Int32(CK_ROW))
  }
  if cols == 0 || rows == 0 { return }
  Threads.forEachTile(of: broadcast.blocks * rows, target: max(1, (1 << 18) / cols)) {
    first, count in
    var row = first
    while row < first + count {
      let (block, place) = row.quotientAndRemainder(dividingBy: rows)
      let size = min(rows - place, first + count - row)
      kernel(
        pa + row * cols, pb + (broadcast.start(ofBlock: block) + place * perRow), py + row * cols,
        size, cols, mode)
      row += size
    }
  }
}

/// `a + b`, `b` repeated as needed.
struct Add: Operation {
  func outputShape(_ x: [Shape]) -> Shape {
    _ = Broadcast(x[0], x[1])
    return x[0]
  }
  func forward(_ x: [Tensor], into y: Tensor) {
    combine(x[0], x[1], into: y, ck_add)
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    let (a, b) = (x[0].shape, x[1].shape)
    return [dy, needs[1] ? Broadcast(a, b).reduced(dy, to: b) : nil]
  }
}

/// `a * b`, elementwise, `b` repeated as needed.
struct Multiply: SummableOperation {
  func outputShape(_ x: [Shape]) -> Shape {
    _ = Broadcast(x[0], x[1])
    return x[0]
  }
  func forward(_ x: [Tensor], into y: Tensor) {
    combine(x[0], x[1], into: y, ck_multiply)
  }
  func forward(_ x: [Tensor], addingTo y: Tensor) {
    combine(x[0], x[1], into: y, ck_multiply_add)
  }
  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    let (a, b) = (x[0], x[1])
    let db: (any Cotangent)? =
      !needs[1]
      ? nil
      : a.shape == b.shape ? deferred(dy, a) : ReducedProduct(result: b.shape)(dy, a)
    return [needs[0] ? deferred(dy, b) : nil, db]
  }
}

/// `a * b` of one shape, summed over the places where a tensor of the result's shape would be repeated.
///
/// This sum and ``Multiply`` are closed under differentiation.
struct ReducedProduct: Operation {
  let result: Shape

  func outputShape(_ x: [Shape]) -> Shape {
    precondition(x[0] == x[1], "Shapes \(x[0]) and \(x[1]) differ")
    return result
  }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (pa, pb, py) = (x[0].memory, x[1].memory, y.memory)
    let broadcast = Broadcast(x[0].shape, result)
    switch (broadcast.inner, broadcast.blocks) {
    case (.same, _): combine(x[0], x[1], into: y, ck_multiply)
    case (.suffix(let count, let cols), 1):
      forEachColumnTile(of: cols, rows: count) { first, width in
        ck_dot_columns(pa + first, pb + first, py + first, count, width, cols)
      }
    case (.row(let rows, let cols), 1):
      Threads.forEachTile(of: rows, target: max(1, (1 << 18) / max(1, cols))) { first, count in
        ck_dot_rows(pa + first * cols, pb + first * cols, py + first, count, cols)
      }
    default:
      let sums = broadcast.reduced(x[0].detached() * x[1].detached(), to: result)
      y.pointer.update(from: sums.pointer, count: result.count)
    }
  }
  func kept(needs: [Bool]) -> SavedValues { .ofBilinear(needs) }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [
      needs[0] ? Multiply().deferred(x[1], dy) : nil,
      needs[1] ? Multiply().deferred(x[0], dy) : nil,
    ]
  }
}

/// `factor * x + constant`.
struct AffineScalar: Operation {
  let factor: Float
  var constant: Float = 0
  func outputShape(_ x: [Shape]) -> Shape { x[0] }
  func forward(_ x: [Tensor], into y: Tensor) {
    let (px, py) = (x[0].memory, y.memory)
    forEachPiece(of: y.shape.count) { first, count in
      ck_affine_scalar(px + first, factor, constant, py + first, count)
    }
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [AffineScalar(factor: factor)(dy)]
  }
}

extension Tensor {
  /// Adds `part`, repeated as in `+`, to these values in place.
  ///
  /// - Precondition: nobody else holds them.
  func accumulate(_ part: Tensor) { combine(self, part, into: self, ck_add) }

  /// The sum, of the shape that both operands repeat to fill by NumPy's rule.
  ///
  /// - Precondition: there is one: ``Shape/broadcast(_:_:)``.
  public static func + (a: Tensor, b: Tensor) -> Tensor { commuting(a, b) { Add()($0, $1) } }

  /// The difference; shapes as for `+`.
  public static func - (a: Tensor, b: Tensor) -> Tensor { a + (-1 * b) }

  /// The elementwise product; shapes as for `+`.
  public static func * (a: Tensor, b: Tensor) -> Tensor { commuting(a, b) { Multiply()($0, $1) } }

  /// The elementwise quotient; shapes as for `+`.
  public static func / (a: Tensor, b: Tensor) -> Tensor { a * b.reciprocal() }

  /// Brings the operand that is not repeated to the first place.
  private static func commuting(
    _ a: Tensor, _ b: Tensor, _ combine: (Tensor, Tensor) -> Tensor
  ) -> Tensor {
    guard let shape = Shape.broadcast(a.shape, b.shape) else {
      preconditionFailure("Shapes \(a.shape) and \(b.shape) do not combine")
    }
    if a.shape == shape { return combine(a, b) }
    return b.shape == shape ? combine(b, a) : combine(a.expanded(to: shape), b)
  }

  /// Every value times a number.
  public static func * (factor: Float, x: Tensor) -> Tensor { AffineScalar(factor: factor)(x) }

  /// A number added to every value.
  public static func + (x: Tensor, constant: Float) -> Tensor {
    AffineScalar(factor: 1, constant: constant)(x)
  }
}
