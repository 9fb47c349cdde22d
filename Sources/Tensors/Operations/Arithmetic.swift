import CKernels

/// How the second operand repeats over the first.
private enum Broadcast {
  case same, suffix, row

  /// `b` is of the shape of `a`, of its trailing axes, or of its leading axes with a last axis of 1.
  init(_ a: Shape, _ b: Shape) {
    if a == b {
      self = .same
    } else if b.rank <= a.rank, a.dimensions.suffix(b.rank) == b.dimensions[...] {
      self = .suffix
    } else if b.rank == a.rank, b.last == 1, a.dimensions.dropLast() == b.dimensions.dropLast() {
      self = .row
    } else {
      preconditionFailure("Shapes \(a) and \(b) do not combine")
    }
  }

  var code: Int32 {
    switch self {
    case .same: Int32(CK_SAME)
    case .suffix: Int32(CK_SUFFIX)
    case .row: Int32(CK_ROW)
    }
  }

  /// Sums a cotangent of `a`'s shape to `b`'s.
  func reduced(_ dy: Tensor, to shape: Shape) -> Tensor {
    switch self {
    case .same: dy
    case .suffix: SumAxis(outer: 1, count: dy.shape.count / shape.count, result: shape)(dy)
    case .row: SumAxis(outer: shape.count, count: dy.shape.last, result: shape)(dy)
    }
  }
}

/// Runs an elementwise kernel over fixed pieces of `count` values.
func forEachPiece(of count: Int, _ body: @Sendable (_ first: Int, _ count: Int) -> Void) {
  Threads.forEachTile(of: count, target: 1 << 18, body)
}

private typealias BinaryKernel =
  @convention(c) (
    UnsafePointer<Float>?, UnsafePointer<Float>?, UnsafeMutablePointer<Float>?, Int, Int, Int32
  ) -> Void

private func combine(_ a: Tensor, _ b: Tensor, into y: Tensor, _ kernel: BinaryKernel) {
  let broadcast = Broadcast(a.shape, b.shape)
  let (pa, pb, py) = (a.memory, b.memory, y.memory)
  switch broadcast {
  case .same:
    forEachPiece(of: a.shape.count) { first, count in
      kernel(pa + first, pb + first, py + first, 1, count, Int32(CK_SAME))
    }
  case .suffix, .row:
    let cols = broadcast == .suffix ? b.shape.count : a.shape.last
    if cols == 0 { return }
    let perRow = broadcast == .row ? 1 : 0
    Threads.forEachTile(of: a.shape.count / cols, target: max(1, (1 << 18) / cols)) {
      first, count in
      kernel(
        pa + first * cols, pb + first * perRow, py + first * cols, count, cols, broadcast.code)
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
    switch Broadcast(x[0].shape, result) {
    case .same: combine(x[0], x[1], into: y, ck_multiply)
    case .suffix:
      let cols = result.count
      let count = cols == 0 ? 0 : x[0].shape.count / cols
      forEachColumnTile(of: cols, rows: count) { first, width in
        ck_dot_columns(pa + first, pb + first, py + first, count, width, cols)
      }
    case .row:
      let cols = x[0].shape.last
      forEachRowTile(of: x[0].shape) { first, count in
        ck_dot_rows(pa + first * cols, pb + first * cols, py + first, count, cols)
      }
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

  /// The sum; `b` is of the shape of `a`, of its trailing axes, or has a last axis of extent 1.
  public static func + (a: Tensor, b: Tensor) -> Tensor { Add()(a, b) }

  /// The difference; shapes as for `+`.
  public static func - (a: Tensor, b: Tensor) -> Tensor { a + (-1 * b) }

  /// The elementwise product; shapes as for `+`.
  public static func * (a: Tensor, b: Tensor) -> Tensor { Multiply()(a, b) }

  /// Every value times a number.
  public static func * (factor: Float, x: Tensor) -> Tensor { AffineScalar(factor: factor)(x) }

  /// A number added to every value.
  public static func + (x: Tensor, constant: Float) -> Tensor {
    AffineScalar(factor: 1, constant: constant)(x)
  }
}
