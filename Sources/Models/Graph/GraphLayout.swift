import Tensors

/// How values are brought under other extents and into other orders of axes.
extension GraphCompiler {
  /// The extents of a value in memory, as they follow the number of images.
  func extents(_ dimensions: [Int], order: [Int], batchAxis: Int?) -> GraphExtents {
    GraphExtents(
      dimensions: order.map { dimensions[$0] },
      batchPlace: batchAxis.flatMap { axis in order.firstIndex(of: axis) })
  }

  /// The same value with its axes in memory in another order: a copy only where more than axes of extent 1
  /// change places.
  func arranged(_ value: GraphValue, _ order: [Int]) throws(GraphError) -> GraphValue {
    if value.order == order { return value }
    let long = value.order.filter { !value.isSingle($0) }
    if long == order.filter({ !value.isSingle($0) }) {
      let target = extents(value.dimensions, order: order, batchAxis: value.batchAxis)
      return try emit(
        [value], order: order, batchAxis: value.batchAxis, ofRows: true, as: .view
      ) { inputs, pass in inputs[0].reshaped(Shape(target(pass.images))) }
    }
    let places = order.map { axis in value.order.firstIndex(of: axis) ?? 0 }
    return try moved(value, .permuted(places), order: order, ofRows: true)
  }

  /// The value with its axes in memory in their own order.
  func inOrder(_ value: GraphValue) throws(GraphError) -> GraphValue {
    try arranged(value, Array(0..<value.rank))
  }

  /// The value with an axis innermost in memory: in place if it lies there.
  func innermost(_ value: GraphValue, _ axis: Int) throws(GraphError) -> GraphValue {
    if value.order.last == axis { return value }
    return try arranged(value, value.order.filter { $0 != axis } + [axis])
  }

  /// The value with axes of extent 1 before its own.
  func extended(_ value: GraphValue, to rank: Int) throws(GraphError) -> GraphValue {
    let new = rank - value.rank
    guard new > 0 else { return value }
    let dimensions = [Int](repeating: 1, count: new) + value.dimensions
    let order = Array(0..<new) + value.order.map { $0 + new }
    let batchAxis = value.batchAxis.map { $0 + new }
    let target = extents(dimensions, order: order, batchAxis: batchAxis)
    return try emit([value], order: order, batchAxis: batchAxis, as: .view) { inputs, pass in
      inputs[0].reshaped(Shape(target(pass.images)))
    }
  }

  // MARK: Reshaping

  /// The value under other extents, of as many values an image.
  ///
  /// Axes that are cut or joined where they lie need no copy, in whatever order memory has them.
  func reshaped(
    _ value: GraphValue, _ dimensions: [Int], batchAxis: Int?
  ) throws(GraphError) -> GraphValue {
    guard !value.imagesAreInner else { return try withImagesApart(value, dimensions, batchAxis) }
    if dimensions == value.dimensions, batchAxis == value.batchAxis { return value }
    guard let groups = ReshapeGroups(value, dimensions, batchAxis: batchAxis) else {
      throw GraphError("\(value.text) under the extents \(dimensions)", expected: "as many values")
    }
    var source = value
    var order = groups.order(of: value)
    if order == nil {
      source = try inOrder(value)
      order = Array(dimensions.indices)
    }
    let places = order ?? []
    let target = extents(dimensions, order: places, batchAxis: batchAxis)
    return try emit([source], order: places, batchAxis: batchAxis, as: .view) { inputs, pass in
      inputs[0].reshaped(Shape(target(pass.images)))
    }
  }

  /// Places before images in one axis: `[T, N, D]` as `[T N, D]`.
  func withImagesInner(
    _ value: GraphValue, _ dimensions: [Int], axis: Int
  ) throws(GraphError) -> GraphValue {
    let source = try inOrder(value)
    let order = Array(dimensions.indices)
    let target = extents(dimensions, order: order, batchAxis: axis)
    var result = try emit([source], order: order, batchAxis: axis, as: .view) { inputs, pass in
      inputs[0].reshaped(Shape(target(pass.images)))
    }
    result.imagesAreInner = true
    return result
  }

  /// The inverse of ``withImagesInner(_:_:axis:)``: images have an axis of their own again.
  private func withImagesApart(
    _ value: GraphValue, _ dimensions: [Int], _ batchAxis: Int?
  ) throws(GraphError) -> GraphValue {
    let source = try inOrder(value)
    let order = Array(dimensions.indices)
    let target = extents(dimensions, order: order, batchAxis: batchAxis)
    var result = try emit([source], order: order, batchAxis: batchAxis, ofRows: true, as: .view) {
      inputs, pass in inputs[0].reshaped(Shape(target(pass.images)))
    }
    result.imagesAreInner = false
    return result
  }

  /// Where a list of extents puts places before images in one axis, as a matrix of rows: that axis; else nil.
  func innerAxis(
    _ wanted: [GraphNumber], for value: GraphValue
  ) -> (dimensions: [Int], axis: Int)? {
    guard let images = value.batchAxis, images > 0, images + 1 < value.rank,
      !value.imagesAreInner, value.dimensions[images] == 1
    else { return nil }
    let before = value.dimensions[..<images].reduce(1, *)
    let after = value.dimensions[(images + 1)...].reduce(1, *)
    // A matrix: one axis more would be cut out of what comes after the images.
    guard before > 1, wanted.count == 2, wanted[1] == .int(after) || wanted[1] == .int(-1) else {
      return nil
    }
    let isWhole =
      wanted[0] == .perImage(before) || wanted[0] == .int(-1)
      || exportedImages.map { wanted[0] == .int(before * $0) } ?? false
    guard isWhole, wanted[0] != wanted[1] else { return nil }
    return ([before, after], 0)
  }

  /// The extents, of one image, that a list in the file amounts to; where images follow each other in them.
  func resolve(
    _ wanted: [GraphNumber], for value: GraphValue
  ) throws(GraphError) -> (dimensions: [Int], batchAxis: Int?) {
    func failure(_ reason: String) -> GraphError {
      GraphError("\(value.text) under the extents \(wanted.map(\.text)): \(reason)")
    }
    var dimensions: [Int] = []
    var (open, named): (Int?, Int?) = (nil, nil)
    for (place, extent) in wanted.enumerated() {
      switch extent {
      case .int(-1):
        guard open == nil else { throw failure("two are left open") }
        open = place
        dimensions.append(1)
      case .int(let extent) where extent >= 0: dimensions.append(extent)
      case .perImage(let extent) where extent >= 0:
        guard named == nil else { throw failure("two follow the number of images") }
        named = place
        dimensions.append(extent)
      default: throw failure("an extent that is none")
      }
    }
    guard dimensions.count <= 8 else { throw failure("more than 8 axes") }
    func product(_ extents: some Sequence<Int>) throws(GraphError) -> Int {
      var product = 1
      for extent in extents {
        let (value, overflow) = product.multipliedReportingOverflow(by: extent)
        guard !overflow else { throw failure("too many values") }
        product = value
      }
      return product
    }
    var total = value.count
    guard let axis = value.batchAxis else {
      guard named == nil else { throw failure("they follow the number of images") }
      if let open {
        let others = try product(dimensions)
        guard others > 0, total % others == 0 else { throw failure("no whole number is left") }
        dimensions[open] = total / others
      }
      guard try product(dimensions) == total else { throw failure("not as many values") }
      return (dimensions, nil)
    }
    // Images within places stand behind these.
    let before =
      try product(value.dimensions[..<axis])
      * (value.imagesAreInner ? value.dimensions[axis] : 1)
    let exported = exportedImages ?? 1
    // Where the extents are those of the exported number of images, one of them holds that number.
    let isFixed = exportedImages != nil && named == nil
    if isFixed { total *= exported }
    if let open {
      let others = try product(dimensions)
      guard others > 0, total % others == 0 else { throw failure("no whole number is left") }
      dimensions[open] = total / others
    }
    guard try product(dimensions) == total else { throw failure("not as many values") }
    var place = named
    if isFixed {
      var candidates: [Int] = []
      for place in dimensions.indices
      where try product(dimensions[..<place]) == before && dimensions[place] % exported == 0 {
        candidates.append(place)
      }
      // Several where extents are 1: images come first, unless nothing changes.
      if value.imagesAreInner { candidates.removeAll { dimensions[$0] != exported } }
      let isSame =
        !value.imagesAreInner && dimensions.count == value.rank && candidates.contains(axis)
        && dimensions[axis] == exported * value.dimensions[axis]
      place = isSame ? axis : candidates.first
      if let place { dimensions[place] /= exported }
    } else if named == nil {
      place = open
    }
    guard let place, try product(dimensions[..<place]) == before else {
      throw failure("images are mixed with each other")
    }
    return (dimensions, place)
  }

  // MARK: Elementwise

  /// A value for each pair of values, extents of 1 repeated (NumPy's rule).
  func combined(
    _ a: GraphValue, _ b: GraphValue, as kind: GraphStep.Kind = .other,
    _ combine: @escaping @Sendable (Tensor, Tensor) -> Tensor
  ) throws(GraphError) -> GraphValue {
    let rank = max(a.rank, b.rank)
    var (a, b) = (try extended(a, to: rank), try extended(b, to: rank))
    if let split = try splitImages(a, b) { (a, b) = split }
    guard fits(a, b, axes: 0..<a.rank) else {
      throw GraphError("tensors \(a.text) and \(b.text) together", expected: "extents that fit")
    }
    let width = a.rank
    // Of two alike, the one whose images lie apart: what follows them then does, too.
    func precedence(_ value: GraphValue) -> (Int, Int, Int) {
      (value.isDependent ? 1 : 0, value.count, value.keepsImagesApart ? 1 : 0)
    }
    let isFirst = precedence(a) >= precedence(b)
    let order = isFirst ? a.order : b.order
    guard !(a.isDependent && b.isDependent) || a.imagesAreInner == b.imagesAreInner else {
      throw GraphError("tensors whose images follow each other otherwise")
    }
    let (x, y) = (try arranged(a, order), try arranged(b, order))
    var result = try emit(
      [x, y], order: order, batchAxis: a.batchAxis ?? b.batchAxis, as: kind
    ) { inputs, _ in combine(inputs[0], inputs[1]) }
    if width > rank { result = try mergeImages(result, to: rank) }
    return result
  }

  /// Whether values of one rank combine along axes, extents of 1 being repeated.
  func fits(_ a: GraphValue, _ b: GraphValue, axes: Range<Int>) -> Bool {
    axes.allSatisfy { axis in
      if a.batchAxis == axis || b.batchAxis == axis {
        if a.batchAxis == b.batchAxis { return a.dimensions[axis] == b.dimensions[axis] }
        return (a.batchAxis == axis ? b : a).dimensions[axis] == 1
          && (a.batchAxis == nil || b.batchAxis == nil)
      }
      return a.dimensions[axis] == b.dimensions[axis] || a.dimensions[axis] == 1
        || b.dimensions[axis] == 1
    }
  }

  /// Where one value has the windows of all images along an axis and the other those of one, which are the
  /// same for every image: both with an axis of images before that of windows.
  func splitImages(
    _ a: GraphValue, _ b: GraphValue
  ) throws(GraphError) -> (GraphValue, GraphValue)? {
    guard let axis = a.batchAxis ?? b.batchAxis, (a.batchAxis == nil) != (b.batchAxis == nil)
    else { return nil }
    let (many, one) = a.batchAxis != nil ? (a, b) : (b, a)
    guard many.dimensions[axis] > 1, many.dimensions[axis] == one.dimensions[axis] else {
      return nil
    }
    func split(_ value: GraphValue) throws(GraphError) -> GraphValue {
      var dimensions = value.dimensions
      dimensions.insert(1, at: axis)
      return try reshaped(value, dimensions, batchAxis: value.batchAxis)
    }
    let (x, y) = (try split(a), try split(b))
    return (x, y)
  }

  /// The inverse of ``splitImages(_:_:)`` on a result.
  func mergeImages(_ value: GraphValue, to rank: Int) throws(GraphError) -> GraphValue {
    guard let axis = value.batchAxis, value.rank == rank + 1 else { return value }
    var dimensions = value.dimensions
    dimensions[axis + 1] *= dimensions[axis]
    dimensions.remove(at: axis)
    return try reshaped(value, dimensions, batchAxis: axis)
  }

  /// A function of each value.
  func mapped(
    _ value: GraphValue, as kind: GraphStep.Kind = .other,
    _ function: @escaping @Sendable (Tensor) -> Tensor
  ) throws(GraphError) -> GraphValue {
    try emit([value], order: value.order, batchAxis: value.batchAxis, as: kind) { inputs, _ in
      function(inputs[0])
    }
  }

  /// The value with its values put elsewhere.
  ///
  /// - Parameter order: that of the axes of the result in memory; nil for the value's.
  func moved(
    _ value: GraphValue, _ movement: GraphMovement, order: [Int]? = nil,
    ofRows isOfRows: Bool = false
  ) throws(GraphError) -> GraphValue {
    try emit(
      [value], order: order ?? value.order, batchAxis: value.batchAxis, ofRows: isOfRows,
      as: .movement(movement)
    ) { inputs, pass in movement(inputs[0], pass.images) }
  }

  /// What depends on no image, once for each: with an axis of images where it has extent 1.
  func repeatedForImages(_ value: GraphValue, axis: Int) throws(GraphError) -> GraphValue {
    if value.batchAxis == axis { return value }
    guard value.batchAxis == nil, value.dimensions[axis] == 1 else {
      throw GraphError("\(value.text) where images follow each other along axis \(axis)")
    }
    let source = try arranged(value, [axis] + value.order.filter { $0 != axis })
    let images = GraphValue(slot: 0, dimensions: [1], order: [0], batchAxis: 0)
    return try emit([source, images], order: source.order, batchAxis: axis) { inputs, pass in
      inputs[0].reshaped(Shape(Array(inputs[0].shape.dimensions.dropFirst())))
        .repeated(pass.images)
    }
  }
}

extension GraphNumber {
  /// For messages.
  var text: String {
    switch self {
    case .int(let value): "\(value)"
    case .real(let value): "\(value)"
    case .perImage(let value): value == 1 ? "N" : "\(value) N"
    }
  }
}

/// Which axes of a value become which others when it is put under other extents: axes of more than one place in
/// groups of equal products, each side in its order.
struct ReshapeGroups {
  private var groups: [(source: [Int], target: [Int])] = []
  private let target: [Int]

  /// Nil where the numbers of values differ, or images would be mixed.
  init?(_ value: GraphValue, _ dimensions: [Int], batchAxis: Int?) {
    target = Array(dimensions.indices)
    let long = (0..<value.rank).filter { !value.isSingle($0) }
    let new = target.filter { dimensions[$0] != 1 || $0 == batchAxis }
    // Images begin a group on both sides.
    let (own, other) = (value.batchAxis ?? value.rank, batchAxis ?? dimensions.count)
    guard (value.batchAxis == nil) == (batchAxis == nil) else { return nil }
    for part in [
      (long.filter { $0 < own }, new.filter { $0 < other }),
      (long.filter { $0 >= own }, new.filter { $0 >= other }),
    ] {
      var (i, j) = (0, 0)
      while i < part.0.count || j < part.1.count {
        guard i < part.0.count, j < part.1.count else { return nil }
        let (first, start) = (i, j)
        var (left, right) = (value.dimensions[part.0[i]], dimensions[part.1[j]])
        (i, j) = (i + 1, j + 1)
        while left != right {
          if left < right {
            guard i < part.0.count else { return nil }
            left *= value.dimensions[part.0[i]]
            i += 1
          } else {
            guard j < part.1.count else { return nil }
            right *= dimensions[part.1[j]]
            j += 1
          }
        }
        groups.append((Array(part.0[first..<i]), Array(part.1[start..<j])))
      }
    }
  }

  /// The order in memory of the new axes where no copy is needed: each group lies together, in its order. Nil
  /// where one is.
  func order(of value: GraphValue) -> [Int]? {
    let long = value.order.filter { !value.isSingle($0) }
    var order: [Int] = []
    var place = 0
    while place < long.count {
      guard let group = groups.first(where: { $0.source.first == long[place] }),
        place + group.source.count <= long.count,
        Array(long[place..<place + group.source.count]) == group.source
      else { return nil }
      order += group.target
      place += group.source.count
    }
    return target.filter { !order.contains($0) } + order
  }

  /// The axes that each group of the value's becomes, for axes that keep their places or lose them.
  var pairs: [(source: [Int], target: [Int])] { groups }
}
