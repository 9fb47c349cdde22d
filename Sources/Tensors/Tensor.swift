/// Dense Float32 values in row-major order, channels last: an image `[N, H, W, C]` and a token
/// sequence `[N, T, C]` are the same memory.
///
/// A tensor is an immutable value. Tensors made from tracked ones remember the operation that made
/// them, so that ``pullback(_:withRespectTo:recording:)`` can differentiate; plain ones
/// remember nothing. An abstract tensor has a shape and no values: operations on it only count.
public struct Tensor: @unchecked Sendable {
  /// The extents of the axes.
  public let shape: Shape
  private(set) var storage: Storage
  let offset: Int
  let node: Node?

  init(shape: Shape, storage: Storage, offset: Int = 0, node: Node? = nil) {
    self.shape = shape
    self.storage = storage
    self.offset = offset
    self.node = node
  }

  /// New memory with undefined contents, to be filled before anyone sees it.
  init(uninitialized shape: Shape) {
    self.init(shape: shape, storage: Storage(count: shape.count))
  }

  /// A tensor with the given values in row-major order.
  ///
  /// - Precondition: there are as many values as the shape has places.
  public init(_ values: [Float], shape: Shape) {
    precondition(
      values.count == shape.count, "\(values.count) values do not fill the shape \(shape)")
    self.init(uninitialized: shape)
    values.withUnsafeBufferPointer { source in
      guard let base = source.baseAddress else { return }
      pointer.update(from: base, count: values.count)
    }
  }

  /// A tensor whose values are written by `fill`, which gets the whole memory.
  public init(shape: Shape, fill: (UnsafeMutableBufferPointer<Float>) throws -> Void) rethrows {
    self.init(uninitialized: shape)
    try fill(UnsafeMutableBufferPointer(start: pointer, count: shape.count))
  }

  /// A tensor with one value everywhere.
  public init(repeating value: Float, shape: Shape) {
    self.init(shape: shape) { $0.update(repeating: value) }
  }

  /// A tensor over memory of somebody else, which `owner` keeps alive and nobody changes.
  ///
  /// - Precondition: the memory holds `shape.count` floats and is aligned for them.
  public init(borrowing values: UnsafeBufferPointer<Float>, shape: Shape, owner: AnyObject) {
    precondition(
      values.count == shape.count, "\(values.count) values do not fill the shape \(shape)")
    guard let base = values.baseAddress else {
      self.init(uninitialized: shape)
      return
    }
    self.init(
      shape: shape, storage: Storage(borrowing: base, count: values.count, owner: owner))
  }

  /// A tensor with a shape and no values; what is done with it is counted by `meter`.
  public init(abstract shape: Shape, meter: Meter) {
    self.init(shape: shape, storage: Storage(abstract: shape.count, meter: meter))
  }

  var pointer: UnsafeMutablePointer<Float> {
    precondition(storage.hasValues, "A value is read that its operation did not ask to keep")
    return storage.base + offset
  }

  /// The values, for threads that each write or read a part.
  var memory: DisjointWrites<Float> { DisjointWrites(pointer) }

  var meter: Meter? {
    if case .abstract(let meter) = storage.kind { meter } else { nil }
  }

  /// Whether the tensor has a shape only.
  public var isAbstract: Bool { meter != nil }

  /// Whether the tensor remembers how it was made, or is itself something to differentiate by.
  public var isTracked: Bool { node != nil }

  /// The same values, to be differentiated by: operations on it are remembered.
  public func tracked() -> Tensor {
    Tensor(shape: shape, storage: storage, offset: offset, node: Node())
  }

  /// The shape and history alone.
  func withoutValues() -> Tensor { Tensor(shape: shape, storage: .released, node: node) }

  /// Whether the values are in memory that no other tensor refers to: then they may be changed.
  mutating func isUniquelyOwned() -> Bool {
    storage.isPooled && node == nil && offset == 0 && storage.count == shape.count
      && isKnownUniquelyReferenced(&storage)
  }

  /// The same values without any memory of how they were made.
  public func detached() -> Tensor {
    node == nil ? self : Tensor(shape: shape, storage: storage, offset: offset)
  }

  /// The values in row-major order. Empty for an abstract tensor.
  public var values: [Float] {
    isAbstract ? [] : Array(UnsafeBufferPointer(start: pointer, count: shape.count))
  }

  /// Reads the values in place. The buffer is empty for an abstract tensor.
  public func withValues<R, E: Error>(
    _ body: (UnsafeBufferPointer<Float>) throws(E) -> R
  ) throws(E) -> R {
    let result = try body(
      isAbstract ? .init(start: nil, count: 0) : .init(start: pointer, count: shape.count))
    withExtendedLifetime(storage) {}
    return result
  }
}
