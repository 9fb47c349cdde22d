import Checkpoints
import Tensors

/// Operations that give their argument, or a part of it, under other extents.
extension AtenOperations {
  /// Operations whose result may share the memory of their first argument.
  static let viewing: Set<String> = Set(views.keys)
  /// Those of them whose result has memory of its own.
  static let copying: Set<String> = ["clone", "lift_fresh_copy"]

  static let views: [String: Entry] = [
    "alias": same, "contiguous": same, "clone": copied, "detach": same, "lift_fresh_copy": copied,
    "type_as": same, "expand_as": expandedAs, "view_as": reshapedAs, "reshape_as": reshapedAs,
    "to": converted, "_to_copy": converted, "dropout": dropout, "feature_dropout": dropout,
    "alpha_dropout": dropout, "native_dropout": dropout,
    "view": viewed, "reshape": viewed, "_unsafe_view": viewed,
    "flatten": flattened, "unflatten": unflattened, "as_strided": strided,
    "permute": { call in
      let (operand, rank) = try call.tensorLike("self")
      let dims = try call.axes("dims", of: rank)
      guard dims.count == rank else { throw GraphError("dims \(dims)", expected: "all axes") }
      return [call.permuted(operand, dims)]
    },
    "transpose": { call in
      let (operand, rank) = try call.tensorLike("self")
      var axes = Array(0..<rank)
      axes.swapAt(try call.axis("dim0", of: rank), try call.axis("dim1", of: rank))
      return [call.permuted(operand, axes)]
    },
    "swapaxes": { call in
      let (operand, rank) = try call.tensorLike("self")
      var axes = Array(0..<rank)
      axes.swapAt(try call.axis("axis0", of: rank), try call.axis("axis1", of: rank))
      return [call.permuted(operand, axes)]
    },
    "t": { call in
      let (operand, rank) = try call.tensorLike("self")
      guard rank <= 2 else { throw GraphError("\(rank) axes", expected: "a matrix") }
      return [call.permuted(operand, Array((0..<rank).reversed()))]
    },
    "unsqueeze": { call in
      let (operand, rank) = try call.tensorLike("self")
      let axis = try call.axis(of: rank + 1)
      if case .known(let array) = operand { return [.known(array.inserting(axis: axis))] }
      let value = try call.compiler.value(operand)
      var dimensions = value.dimensions
      dimensions.insert(1, at: axis)
      let batchAxis = value.batchAxis.map { $0 + ($0 >= axis ? 1 : 0) }
      return [.value(try call.compiler.reshaped(value, dimensions, batchAxis: batchAxis))]
    },
    "squeeze": { call in
      let (operand, rank) = try call.tensorLike("self")
      let named = try call["dim"]
      let axes = if case .none = named { Array(0..<rank) } else { try call.axes(of: rank) }
      if case .known(let array) = operand {
        let gone = axes.filter { array.shape[$0] == 1 }
        return [.known(gone.sorted(by: >).reduce(array) { $0.selected(axis: $1, 0) })]
      }
      let value = try call.compiler.value(operand)
      if let batch = value.batchAxis, axes.contains(batch), value.dimensions[batch] == 1,
        call.compiler.exportedImages == 1
      {
        throw GraphError(
          "the axis of images squeezed away", expected: "a graph for any number of images",
          advice: "Export the model with two images or more, or with torch.export.Dim for the batch"
        )
      }
      let gone = Set(axes.filter(value.isSingle))
      let kept = (0..<rank).filter { !gone.contains($0) }
      return [
        .value(
          try call.compiler.reshaped(
            value, kept.map { value.dimensions[$0] },
            batchAxis: value.batchAxis.flatMap(kept.firstIndex)))
      ]
    },
    "expand": { call in
      let (operand, _) = try call.tensorLike("self")
      return [try expanded(call, operand, try call.extents("size"))]
    },
    "select": { call in
      let (operand, rank) = try call.tensorLike("self")
      let axis = try call.axis(of: rank)
      return [try selected(call, operand, axis, try call.int("index"))]
    },
    "slice": { call in
      let (operand, rank) = try call.tensorLike("self")
      let range = try call.range(of: operand, rank)
      return [try sliced(call, operand, range.axis, range.start, range.end, step: range.step)]
    },
    "narrow": { call in
      let (operand, rank) = try call.tensorLike("self")
      let axis = try call.axis(of: rank)
      let start = try call.int("start")
      return [try sliced(call, operand, axis, start, start + (try call.int("length")), step: 1)]
    },
    "unbind": { call in
      let (operand, rank) = try call.tensorLike("self")
      let axis = try call.axis(of: rank, 0)
      var parts: [GraphOperand] = []
      for index in 0..<(try extent(call, operand, axis)) {
        parts.append(try selected(call, operand, axis, index))
      }
      return parts
    },
    "split": { call in
      let (operand, rank) = try call.tensorLike("self")
      let axis = try call.axis(of: rank, 0)
      let total = try extent(call, operand, axis)
      let sizes = try call.ints("split_size")
      if sizes.count > 1 { return try parts(call, operand, axis, sizes) }
      guard sizes[0] > 0 else { throw GraphError("split_size \(sizes[0])", expected: "1 or more") }
      return try parts(call, operand, axis, even(total, sizes[0]))
    },
    "split_with_sizes": { call in
      let (operand, rank) = try call.tensorLike("self")
      return try parts(
        call, operand, try call.axis(of: rank, 0), try call.ints("split_sizes"))
    },
    "chunk": { call in
      let (operand, rank) = try call.tensorLike("self")
      let axis = try call.axis(of: rank, 0)
      let (total, count) = (try extent(call, operand, axis), try call.int("chunks"))
      guard count > 0 else { throw GraphError("\(count) chunks", expected: "1 or more") }
      return try parts(call, operand, axis, even(total, (total + count - 1) / count))
    },
  ]

  // MARK: The same values

  private static let same: Entry = { call in [try call[call.firstName]] }

  /// A copy, whose memory is its own.
  private static let copied: Entry = { call in
    let operand = try call[call.firstName]
    if case .known(let array) = operand { return [.known(array.converted(to: array.kind))] }
    return [operand]
  }

  /// Another type: of no account among floats, which are all computed with alike.
  private static let converted: Entry = { call in
    let operand = try call["self"]
    guard case .kind(let told) = try call["dtype"] else { return [operand] }
    guard let kind = told else { throw GraphError("a conversion to an unknown type") }
    if let array = try call.compiler.known(operand) { return [.known(array.converted(to: kind))] }
    guard kind >= .float32 else {
      throw GraphError(
        .unrecognised, "values of an image converted to \(kind)", advice: GraphError.capture)
    }
    return [operand]
  }

  private static let dropout: Entry = { call in
    guard try !call.bool("train", false), try !call.bool("training", false) else {
      throw GraphError(
        .conflict, "dropout in training", expected: "a model in evaluation",
        advice: "Call model.eval() before torch.export.export")
    }
    let operand = try call[call.firstName]
    return call.operation == "native_dropout" ? [operand, .none] : [operand]
  }

  // MARK: Extents

  private static let viewed: Entry = { call in
    let (operand, _) = try call.tensorLike("self")
    let wanted = try call.extents(
      call.node.arguments.contains { $0.name == "shape" } ? "shape" : "size")
    return [try viewed(call, operand, wanted)]
  }

  private static func viewed(
    _ call: AtenCall, _ operand: GraphOperand, _ wanted: [GraphNumber]
  ) throws(GraphError) -> GraphOperand {
    if case .known(let array) = operand {
      let shape = try call.compiler.resolve(
        wanted,
        for: GraphValue(slot: 0, dimensions: array.shape, order: [], batchAxis: nil))
      return .known(array.reshaped(shape.dimensions))
    }
    let value = try call.compiler.value(operand)
    if let inner = call.compiler.innerAxis(wanted, for: value) {
      return .value(
        try call.compiler.withImagesInner(value, inner.dimensions, axis: inner.axis))
    }
    let (dimensions, batchAxis) = try call.compiler.resolve(wanted, for: value)
    return .value(try call.compiler.reshaped(value, dimensions, batchAxis: batchAxis))
  }

  /// Another look at memory: known where it is the same values in their order.
  private static let strided: Entry = { call in
    let (operand, rank) = try call.tensorLike("self")
    let (size, strides) = (try call.extents("size"), try call.ints("stride"))
    let images: Int? = if case .value(let value) = operand { value.batchAxis } else { nil }
    let long = (0..<rank).filter { operand.dimensions?[$0] != 1 && $0 != images }
    var (step, isDense) = (1, size.count == strides.count)
    for (extent, stride) in zip(size, strides).reversed() where extent != .int(1) {
      isDense = isDense && stride == step
      guard case .int(let extent) = extent, extent > 0, extent <= 1 << 31 else { continue }
      step = step.multipliedReportingOverflow(by: extent).partialValue
    }
    guard isDense, long.count <= 1, images.map({ $0 == 0 }) ?? true,
      try call.int("storage_offset", 0) == 0
    else {
      throw GraphError(
        .unrecognised, "\(operand.title) as its memory lies, by steps of \(strides)",
        advice: GraphError.capture)
    }
    return [try viewed(call, operand, size)]
  }

  private static let reshapedAs: Entry = { call in
    let (operand, _) = try call.tensorLike("self")
    let other = try call["other"]
    if case .value(let model) = other, operand.isDependent == model.isDependent {
      let value = try call.compiler.value(operand)
      return [
        .value(try call.compiler.reshaped(value, model.dimensions, batchAxis: model.batchAxis))
      ]
    }
    guard let dimensions = other.dimensions, !other.isDependent else {
      throw GraphError("\(operand.title) under the extents of \(other.title)")
    }
    return [try viewed(call, operand, dimensions.map { .int($0) })]
  }

  private static let flattened: Entry = { call in
    let (operand, rank) = try call.tensorLike("self")
    guard rank > 0 else { throw GraphError("a scalar flattened", expected: "an axis") }
    let first = try call.axis("start_dim", of: rank, 0)
    let last = try call.axis("end_dim", of: rank, -1)
    guard first <= last else { throw GraphError("axes \(first) to \(last)", expected: "in order") }
    let shape = operand.dimensions ?? []
    let joined = shape[first...last].reduce(1, *)
    let dimensions = Array(shape[..<first]) + [joined] + Array(shape[(last + 1)...])
    if case .known(let array) = operand { return [.known(array.reshaped(dimensions))] }
    let value = try call.compiler.value(operand)
    var batchAxis = value.batchAxis
    if let axis = batchAxis {
      if axis > last {
        batchAxis = axis - (last - first)
      } else if axis > first {
        guard (first..<axis).allSatisfy(value.isSingle) else {
          throw GraphError("\(value.text) with axes \(first) to \(last) joined: images are mixed")
        }
        batchAxis = first
      }
    }
    return [.value(try call.compiler.reshaped(value, dimensions, batchAxis: batchAxis))]
  }

  private static let unflattened: Entry = { call in
    let (operand, rank) = try call.tensorLike("self")
    let axis = try call.axis(of: rank)
    let shape = operand.dimensions ?? []
    var sizes = try call.ints("sizes")
    if let open = sizes.firstIndex(of: -1) {
      let others = sizes.filter { $0 != -1 }.reduce(1, *)
      guard others > 0 else { throw GraphError("sizes \(sizes)") }
      sizes[open] = shape[axis] / others
    }
    guard sizes.reduce(1, *) == shape[axis], sizes.allSatisfy({ $0 > 0 }) else {
      throw GraphError("sizes \(sizes)", expected: "those of an axis of \(shape[axis])")
    }
    let dimensions = Array(shape[..<axis]) + sizes + Array(shape[(axis + 1)...])
    if case .known(let array) = operand { return [.known(array.reshaped(dimensions))] }
    let value = try call.compiler.value(operand)
    let batchAxis = value.batchAxis.map { $0 > axis ? $0 + sizes.count - 1 : $0 }
    return [.value(try call.compiler.reshaped(value, dimensions, batchAxis: batchAxis))]
  }

  private static let expandedAs: Entry = { call in
    let (operand, _) = try call.tensorLike("self")
    let other = try call["other"]
    if case .value(let model) = other, model.isDependent, !operand.isDependent {
      // Repeated where it meets others.
      return [operand]
    }
    return [try expanded(call, operand, (other.dimensions ?? []).map { .int($0) })]
  }

  /// Axes of extent 1 repeated. Along the axis of images that is left to whatever reads the result.
  static func expanded(
    _ call: AtenCall, _ operand: GraphOperand, _ wanted: [GraphNumber]
  ) throws(GraphError) -> GraphOperand {
    let shape = operand.dimensions ?? []
    let new = wanted.count - shape.count
    guard new >= 0 else { throw GraphError("\(shape.count) axes expanded to \(wanted.count)") }
    let batchAxis: Int? = if case .value(let value) = operand { value.batchAxis } else { nil }
    var target: [Int] = []
    for (place, extent) in wanted.enumerated() {
      let own = place < new ? 1 : shape[place - new]
      let isImages = batchAxis.map { $0 + new == place } ?? false
      switch extent {
      case .int(-1) where place >= new: target.append(own)
      case .int(let extent) where isImages && extent == own * (call.compiler.exportedImages ?? 1):
        target.append(own)
      case .perImage(let extent) where isImages && extent == own: target.append(own)
      case .perImage(1) where own == 1: target.append(1)
      case .int(let extent) where extent == own && !isImages: target.append(own)
      case .int(let extent) where own == 1 && extent > 0 && !isImages:
        // As many as images were exported, where images follow each other: one serves all.
        let images = call.compiler.exportedImages ?? 0
        target.append(place == 0 && extent == images && batchAxis == nil ? 1 : extent)
      default: throw GraphError("\(operand.title) expanded to \(wanted.map(\.text))")
      }
    }
    if case .known(let array) = operand {
      _ = try HostArray.count(target)
      return .known(array.expanded(to: target))
    }
    if target == shape { return operand }
    let compiler = call.compiler
    let value = try compiler.extended(try compiler.value(operand), to: target.count)
    let order = value.order
    let extents = compiler.extents(target, order: order, batchAxis: value.batchAxis)
    return .value(try compiler.moved(value, .expanded(extents), order: order))
  }

  // MARK: Parts

  /// The extent of an axis that is cut, which is not that of images.
  private static func extent(
    _ call: AtenCall, _ operand: GraphOperand, _ axis: Int
  ) throws(GraphError) -> Int {
    if case .value(let value) = operand, value.batchAxis == axis {
      throw GraphError("\(value.text) cut along its images", expected: "images that stay together")
    }
    return operand.dimensions?[axis] ?? 0
  }

  /// Exported for one image, an axis of one place beside that of images cannot be told from it: where the only place
  /// along "images" is selected, it was that of the other.
  private static func ofOtherAxis(
    _ call: AtenCall, _ operand: GraphOperand, _ axis: Int, _ index: Int
  ) throws(GraphError) -> GraphOperand? {
    guard case .value(let value) = operand, value.batchAxis == axis, value.dimensions[axis] == 1,
      call.compiler.exportedImages == 1, index == 0 || index == -1,
      let other = [axis - 1, axis + 1].first(where: {
        (0..<value.rank).contains($0) && value.dimensions[$0] == 1
      })
    else { return nil }
    var dimensions = value.dimensions
    dimensions.remove(at: axis)
    return .value(
      try call.compiler.reshaped(value, dimensions, batchAxis: min(axis, other)))
  }

  static func selected(
    _ call: AtenCall, _ operand: GraphOperand, _ axis: Int, _ index: Int
  ) throws(GraphError) -> GraphOperand {
    if let one = try ofOtherAxis(call, operand, axis, index) { return one }
    let count = try extent(call, operand, axis)
    let place = index < 0 ? index + count : index
    guard (0..<count).contains(place) else {
      throw GraphError("place \(index) of an axis of \(count)")
    }
    if case .known(let array) = operand { return .known(array.selected(axis: axis, place)) }
    let compiler = call.compiler
    let part = try compiler.sliced(try compiler.value(operand), axis, place, 1, step: 1)
    var dimensions = part.dimensions
    dimensions.remove(at: axis)
    return .value(
      try compiler.reshaped(
        part, dimensions, batchAxis: part.batchAxis.map { $0 > axis ? $0 - 1 : $0 }))
  }

  static func sliced(
    _ call: AtenCall, _ operand: GraphOperand, _ axis: Int, _ start: Int, _ end: Int?, step: Int
  ) throws(GraphError) -> GraphOperand {
    let whole = operand.dimensions?[axis] ?? 0
    if case .value(let value) = operand, value.batchAxis == axis {
      // All images.
      let images = call.compiler.exportedImages ?? 1
      guard start == 0, step == 1, end.map({ $0 >= whole * images }) ?? true else {
        throw GraphError(
          "\(value.text) cut along its images", expected: "images that stay together")
      }
      return operand
    }
    guard step > 0 else { throw GraphError("a step of \(step)", expected: "1 or more") }
    func place(_ index: Int) -> Int { min(max(index < 0 ? index + whole : index, 0), whole) }
    let (first, last) = (place(start), place(end ?? whole))
    let count = max(0, (last - first + step - 1) / step)
    if case .known(let array) = operand {
      return .known(array.sliced(axis: axis, start: first, count: count, step: step))
    }
    guard count > 0 else { throw GraphError("an empty part of an axis of \(whole)") }
    let compiler = call.compiler
    return .value(try compiler.sliced(try compiler.value(operand), axis, first, count, step: step))
  }

  private static func even(_ total: Int, _ size: Int) -> [Int] {
    stride(from: 0, to: total, by: max(1, size)).map { min(size, total - $0) }
  }

  private static func parts(
    _ call: AtenCall, _ operand: GraphOperand, _ axis: Int, _ sizes: [Int]
  ) throws(GraphError) -> [GraphOperand] {
    let total = try extent(call, operand, axis)
    guard sizes.allSatisfy({ $0 > 0 }), sizes.reduce(0, +) == total else {
      throw GraphError("parts of \(sizes)", expected: "those of an axis of \(total)")
    }
    var start = 0
    var results: [GraphOperand] = []
    for size in sizes {
      results.append(try sliced(call, operand, axis, start, start + size, step: 1))
      start += size
    }
    return results
  }
}

extension AtenCall {
  /// The name of the first argument: `self` or `input`.
  var firstName: String { node.arguments.first?.name ?? "self" }

  /// A tensor with its rank. What depends on no image and on no parameter is known; a parameter is a tensor
  /// of the engine.
  func tensorLike(_ name: String) throws(GraphError) -> (operand: GraphOperand, rank: Int) {
    let operand = try self[name]
    guard let dimensions = operand.dimensions else { throw wrong(name, operand, "a tensor") }
    if case .stored = operand {
      if let array = try compiler.known(operand) { return (.known(array), array.rank) }
      return (.value(try compiler.value(operand)), dimensions.count)
    }
    return (operand, dimensions.count)
  }

  /// The places of a slice: from ``start`` before ``end`` (nil: to the end), counted from the front.
  func range(
    of operand: GraphOperand, _ rank: Int
  ) throws(GraphError) -> (axis: Int, start: Int, end: Int?, step: Int) {
    let axis = try axis(of: rank, 0)
    let extent = operand.dimensions?[axis] ?? 0
    func place(_ index: Int) -> Int { index < 0 ? max(index + extent, 0) : index }
    let start: Int
    if case .none = try self["start"] { start = 0 } else { start = place(try int("start")) }
    let end: Int?
    switch try self["end"] {
    case .none, .number(.perImage): end = nil
    default: end = place(try int("end"))
    }
    return (axis, start, end, try int("step", 1))
  }

  func permuted(_ operand: GraphOperand, _ axes: [Int]) -> GraphOperand {
    switch operand {
    case .known(let array): .known(array.permuted(axes))
    case .value(let value): .value(value.permuted(axes))
    default: operand
    }
  }
}

extension GraphOperand {
  /// Whether it depends on the images.
  var isDependent: Bool { if case .value(let value) = self { value.isDependent } else { false } }
}

extension GraphCompiler {
  /// Every `step`th of `count` places of an axis that is not that of images.
  func sliced(
    _ value: GraphValue, _ axis: Int, _ start: Int, _ count: Int, step: Int
  ) throws(GraphError) -> GraphValue {
    if start == 0, count == value.dimensions[axis] { return value }
    let place = value.order.firstIndex(of: axis) ?? 0
    return try moved(value, .sliced(axis: place, start: start, count: count, step: step))
  }
}
