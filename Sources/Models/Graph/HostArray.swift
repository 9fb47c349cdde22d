import Checkpoints

/// Values that are known before any image is seen: positions, indices, masks. As PyTorch's tensors, several
/// may be views of the same memory, so that what is written through one is seen through the others.
///
/// Values are held as Double, rounded to the type they stand for after each step.
struct HostArray {
  /// What a value stands for.
  enum Kind: Int, Comparable {
    case bool, integer, float32, float64
    static func < (a: Kind, b: Kind) -> Bool { a.rawValue < b.rawValue }

    /// What a file's type amounts to; nil for those that are not computed with.
    init?(_ dtype: ElementType) {
      switch dtype {
      case .bool: self = .bool
      case .int64, .int32, .int16, .int8, .uint64, .uint32, .uint16, .uint8: self = .integer
      case .float32, .float16, .bfloat16: self = .float32
      case .float64: self = .float64
      default: return nil
      }
    }

    /// A result of this kind.
    func rounded(_ value: Double) -> Double {
      switch self {
      case .bool: value == 0 ? 0 : 1
      case .integer: value.rounded(.towardZero)
      case .float32: Double(Float(value))
      case .float64: value
      }
    }
  }

  /// Memory that views share.
  final class Memory {
    var values: [Double]
    init(_ values: [Double]) { self.values = values }
  }

  /// The most values that an array may have: far beyond any table of positions.
  static let maximumCount = 1 << 26

  let kind: Kind
  let shape: [Int]
  private let strides: [Int]
  private let offset: Int
  private let memory: Memory

  private init(kind: Kind, shape: [Int], strides: [Int], offset: Int, memory: Memory) {
    (self.kind, self.shape, self.strides) = (kind, shape, strides)
    (self.offset, self.memory) = (offset, memory)
  }

  /// An array of values in row-major order.
  init(_ kind: Kind, _ shape: [Int], _ values: [Double]) {
    self.init(
      kind: kind, shape: shape, strides: Self.dense(shape), offset: 0, memory: Memory(values))
  }

  /// An array of values that are given by their place in row-major order.
  ///
  /// - Throws: ``GraphError`` for more values than are held.
  init(
    _ kind: Kind, _ shape: [Int], _ value: (Int) throws(GraphError) -> Double
  ) throws(GraphError) {
    let count = try Self.count(shape)
    var values: [Double] = []
    values.reserveCapacity(count)
    for index in 0..<count { values.append(kind.rounded(try value(index))) }
    self.init(kind, shape, values)
  }

  /// A single value.
  init(_ kind: Kind, scalar: Double) { self.init(kind, [], [kind.rounded(scalar)]) }

  static func count(_ shape: [Int]) throws(GraphError) -> Int {
    var count = 1
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow, product <= maximumCount else {
        throw GraphError("a table of shape \(shape)", expected: "at most \(maximumCount) values")
      }
      count = product
    }
    return count
  }

  private static func dense(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 0, count: shape.count)
    var step = 1
    for axis in shape.indices.reversed() {
      strides[axis] = step
      step *= max(1, shape[axis])
    }
    return strides
  }

  var rank: Int { shape.count }
  var count: Int { shape.reduce(1, *) }

  /// Where each value lies in memory, in row-major order.
  private var places: [Int] {
    var places = [offset]
    for (extent, stride) in zip(shape, strides) {
      var next: [Int] = []
      next.reserveCapacity(places.count * extent)
      for place in places { for index in 0..<extent { next.append(place + index * stride) } }
      places = next
    }
    return places
  }

  /// The values in row-major order.
  var values: [Double] { places.map { memory.values[$0] } }

  /// The only value of an array of one.
  var scalar: Double? { count == 1 ? values.first : nil }

  /// Writes values, in row-major order, where this view lies.
  func write(_ values: [Double]) {
    for (place, value) in zip(places, values) { memory.values[place] = kind.rounded(value) }
  }

  // MARK: Views

  /// The same memory with the axes in another order.
  func permuted(_ axes: [Int]) -> HostArray {
    HostArray(
      kind: kind, shape: axes.map { shape[$0] }, strides: axes.map { strides[$0] }, offset: offset,
      memory: memory)
  }

  /// Every `step`th place of an axis.
  func sliced(axis: Int, start: Int, count: Int, step: Int) -> HostArray {
    var (shape, strides) = (shape, strides)
    let place = offset + start * strides[axis]
    shape[axis] = count
    strides[axis] *= step
    return HostArray(kind: kind, shape: shape, strides: strides, offset: place, memory: memory)
  }

  /// One place of an axis, which goes.
  func selected(axis: Int, _ index: Int) -> HostArray {
    var (shape, strides) = (shape, strides)
    let place = offset + index * strides[axis]
    shape.remove(at: axis)
    strides.remove(at: axis)
    return HostArray(kind: kind, shape: shape, strides: strides, offset: place, memory: memory)
  }

  /// An axis of extent 1 more.
  func inserting(axis: Int) -> HostArray {
    var (shape, strides) = (shape, strides)
    shape.insert(1, at: axis)
    strides.insert(0, at: axis)
    return HostArray(kind: kind, shape: shape, strides: strides, offset: offset, memory: memory)
  }

  /// Axes of extent 1 repeated, and new ones before; the shapes fit.
  func expanded(to target: [Int]) -> HostArray {
    let new = target.count - rank
    let strides = target.indices.map { axis in
      axis < new || shape[axis - new] != target[axis] ? 0 : self.strides[axis - new]
    }
    return HostArray(kind: kind, shape: target, strides: strides, offset: offset, memory: memory)
  }

  /// The same values in row-major order under another shape: the same memory where that can be.
  func reshaped(_ target: [Int]) -> HostArray {
    let isDense = strides == Self.dense(shape)
    guard isDense else { return HostArray(kind, target, values) }
    return HostArray(
      kind: kind, shape: target, strides: Self.dense(target), offset: offset, memory: memory)
  }

  /// A copy as another kind.
  func converted(to kind: Kind) -> HostArray {
    HostArray(kind, shape, values.map(kind.rounded))
  }
}
