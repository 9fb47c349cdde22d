/// How one shape repeats to fill another, by NumPy's rule: axes are matched from the last one on, and an
/// axis of extent 1, or one that is not there, is repeated.
struct Broadcast {
  /// Neighbouring axes that are repeated together, or not.
  private struct Run {
    var extent: Int
    let isRepeated: Bool
  }

  /// From the outermost on. Repeated ones and others take turns; if there is one of each kind or more, the
  /// last two are what a kernel takes at once.
  private let runs: [Run]

  /// - Precondition: `b` repeats to fill `a`.
  init(_ a: Shape, _ b: Shape) {
    precondition(Shape.broadcast(a, b) == a, "Shapes \(a) and \(b) do not combine")
    var runs: [Run] = []
    let missing = a.rank - b.rank
    for axis in 0..<a.rank where a[axis] != 1 {
      let isRepeated = axis < missing || b[axis - missing] == 1
      if let last = runs.last, last.isRepeated == isRepeated {
        runs[runs.count - 1].extent *= a[axis]
      } else {
        runs.append(Run(extent: a[axis], isRepeated: isRepeated))
      }
    }
    let single = Run(extent: 1, isRepeated: false)
    if runs.isEmpty { runs = [single] }
    if runs.count == 1, runs[0].isRepeated {
      // One value for all: it repeats along the last axis of a row, or row after row.
      if missing == 0, a.last != 1 { runs.insert(single, at: 0) } else { runs.append(single) }
    }
    self.runs = runs
  }

  /// How a kernel takes the innermost axes, seen as `[rows, cols]`.
  enum Pattern {
    /// Nothing is repeated.
    case same
    /// One row for all rows.
    case suffix(rows: Int, cols: Int)
    /// One value for each row.
    case row(rows: Int, cols: Int)
  }

  /// What the innermost axes are.
  var inner: Pattern {
    guard runs.count > 1 else { return .same }
    let (outer, last) = (runs[runs.count - 2].extent, runs[runs.count - 1])
    return last.isRepeated
      ? .row(rows: outer, cols: last.extent) : .suffix(rows: outer, cols: last.extent)
  }

  /// How many times ``inner`` occurs.
  var blocks: Int { runs.dropLast(2).reduce(1) { $0 * $1.extent } }

  /// Where the repeated operand's values for a block begin.
  func start(ofBlock block: Int) -> Int {
    var (block, start) = (block, 0)
    var stride = runs.suffix(2).reduce(1) { $0 * ($1.isRepeated ? 1 : $1.extent) }
    for run in runs.dropLast(2).reversed() {
      if !run.isRepeated {
        start += block % run.extent * stride
        stride *= run.extent
      }
      block /= run.extent
    }
    return start
  }

  /// For each place of a shape, that of the smaller shape whose value is repeated there.
  static func sources(_ shape: Shape, _ smaller: Shape) -> [Int] {
    let missing = shape.rank - smaller.rank
    return (0..<shape.count).map { place in
      var (rest, source, stride) = (place, 0, 1)
      for axis in (0..<shape.rank).reversed() {
        let (outer, at) = rest.quotientAndRemainder(dividingBy: shape[axis])
        if axis >= missing {
          if smaller[axis - missing] != 1 { source += at * stride }
          stride *= smaller[axis - missing]
        }
        rest = outer
      }
      return source
    }
  }

  /// Sums a tensor of the larger shape over what is repeated: the adjoint of ``expanded(_:to:)``.
  func reduced(_ y: Tensor, to shape: Shape) -> Tensor {
    var (y, extents) = (y, runs.map(\.extent))
    for index in runs.indices.reversed() where runs[index].isRepeated {
      let count = extents[index]
      extents[index] = 1
      y = SumAxis(
        outer: extents[..<index].reduce(1, *), count: count,
        result: runs[..<index].contains(where: \.isRepeated) ? Shape(extents) : shape)(y)
    }
    return y.reshaped(shape)
  }

  /// Repeats a tensor of the smaller shape.
  func expanded(_ x: Tensor, to shape: Shape) -> Tensor {
    var (x, extents) = (x, runs.map { $0.isRepeated ? 1 : $0.extent })
    for index in runs.indices where runs[index].isRepeated {
      extents[index] = runs[index].extent
      x = ExpandAxis(
        outer: extents[..<index].reduce(1, *), count: extents[index],
        result: runs[(index + 1)...].contains(where: \.isRepeated) ? Shape(extents) : shape)(x)
    }
    return x.reshaped(shape)
  }
}

extension Shape {
  /// The shape that both repeat to fill, by NumPy's rule; nil if there is none.
  public static func broadcast(_ a: Shape, _ b: Shape) -> Shape? {
    let rank = max(a.rank, b.rank)
    var result: [Int] = []
    for axis in -rank..<0 {
      let m = -axis <= a.rank ? a[axis] : 1
      let n = -axis <= b.rank ? b[axis] : 1
      guard m == n || m == 1 || n == 1 else { return nil }
      result.append(m == 1 ? n : m)
    }
    return Shape(result)
  }
}

extension Tensor {
  /// The values repeated to fill a shape, by NumPy's rule.
  ///
  /// - Precondition: they do.
  public func expanded(to shape: Shape) -> Tensor {
    shape == self.shape ? self : Broadcast(shape, self.shape).expanded(self, to: shape)
  }
}
