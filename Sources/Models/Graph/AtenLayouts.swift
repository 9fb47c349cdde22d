import Tensors

/// Operations that put values elsewhere: joining, rolling, padding, picking.
extension AtenOperations {
  static let layouts: [String: Entry] = [
    "cat": { call in
      let operands = try call.operands("tensors")
      let rank = operands[0].dimensions?.count ?? 0
      return [try joined(call, operands, try call.axis(of: rank, 0))]
    },
    "concatenate": { call in
      let operands = try call.operands("tensors")
      return [try joined(call, operands, try call.axis(of: operands[0].dimensions?.count ?? 0, 0))]
    },
    "stack": { call in
      let operands = try call.operands("tensors")
      let axis = try call.axis(of: (operands[0].dimensions?.count ?? 0) + 1, 0)
      var parts: [GraphOperand] = []
      for operand in operands {
        if let array = try call.compiler.known(operand) {
          parts.append(.known(array.inserting(axis: axis)))
          continue
        }
        let value = try call.compiler.value(operand)
        var dimensions = value.dimensions
        dimensions.insert(1, at: axis)
        let batchAxis = value.batchAxis.map { $0 + ($0 >= axis ? 1 : 0) }
        parts.append(.value(try call.compiler.reshaped(value, dimensions, batchAxis: batchAxis)))
      }
      return [try joined(call, parts, axis)]
    },
    "roll": { call in
      let (operand, rank) = try call.tensorLike("self")
      let shifts = try call.ints("shifts")
      let axes = try call.axes("dims", of: rank)
      guard shifts.count == axes.count, !(try call.ints("dims", [])).isEmpty else {
        throw GraphError("shifts \(shifts) of axes \(axes)", expected: "one an axis")
      }
      var result = operand
      for (shift, axis) in zip(shifts, axes) {
        let extent = result.dimensions?[axis] ?? 1
        let first = ((-shift % extent) + extent) % extent
        let index = (0..<extent).map { ($0 + first) % extent }
        if case .known(let array) = result {
          result = .known(try array.picked(axis: axis, index))
        } else {
          let value = try call.compiler.value(result)
          try call.requireNotImages(value, axis)
          let place = value.order.firstIndex(of: axis) ?? 0
          result = .value(try call.compiler.moved(value, .rolled(axis: place, by: shift)))
        }
      }
      return [result]
    },
    "flip": { call in
      let (operand, rank) = try call.tensorLike("self")
      var result = operand
      for axis in try call.axes("dims", of: rank) {
        let extent = result.dimensions?[axis] ?? 1
        result = try picked(call, result, axis, (0..<extent).reversed())
      }
      return [result]
    },
    "pad": { call in
      try padded(
        call, try call.ints("pad"), try call.text("mode", "constant"), try call.real("value", 0))
    },
    "constant_pad_nd": { call in
      try padded(call, try call.ints("pad"), "constant", try call.real("value", 0))
    },
    "reflection_pad2d": { call in try padded(call, try call.ints("padding"), "reflect", 0) },
    "replication_pad2d": { call in try padded(call, try call.ints("padding"), "replicate", 0) },
    "repeat": { call in [try repeated(call, try call.extents("repeats"))] },
    "tile": { call in
      let rank = try call["self"].dimensions?.count ?? 0
      var repeats = try call.extents("dims")
      while repeats.count < rank { repeats.insert(.int(1), at: 0) }
      return [try repeated(call, repeats)]
    },
    "repeat_interleave": { call in
      let (operand, rank) = try call.tensorLike("self")
      let (axis, count) = (try call.axis(of: rank), try call.int("repeats"))
      guard count > 0, count <= 1 << 16 else { throw GraphError("\(count) repeats") }
      let extent = operand.dimensions?[axis] ?? 0
      return [try picked(call, operand, axis, (0..<extent * count).map { $0 / count })]
    },
    "index_select": { call in
      let (operand, rank) = try call.tensorLike("self")
      guard let index = try call.compiler.known(try call["index"]), index.rank <= 1 else {
        throw GraphError(.unrecognised, "indices that depend on images", advice: GraphError.capture)
      }
      return [try picked(call, operand, try call.axis(of: rank), index.values.map { Int($0) })]
    },
    "index": indexed,
    "embedding": { call in
      let (operand, rank) = try call.tensorLike("weight")
      guard rank == 2, let index = try call.compiler.known(try call["indices"]) else {
        throw GraphError(
          .unrecognised, "an embedding of values that depend on images", advice: GraphError.capture)
      }
      let rows = try picked(call, operand, 0, index.values.map { Int($0) })
      let shape = index.shape + [operand.dimensions?[1] ?? 0]
      if case .known(let array) = rows { return [.known(array.reshaped(shape))] }
      return [
        .value(
          try call.compiler.reshaped(try call.compiler.value(rows), shape, batchAxis: nil))
      ]
    },
    "pixel_shuffle": { call in
      let (map, r) = (try call.map("self"), try call.int("upscale_factor"))
      guard r > 0, r < 1 << 15, map.dimensions[1].isMultiple(of: r * r) else {
        throw GraphError("\(map.text) shuffled by \(r)")
      }
      return [.value(try call.compiler.moved(map, .pixelShuffled(r)))]
    },
    "pixel_unshuffle": { call in
      let (map, r) = (try call.map("self"), try call.int("downscale_factor"))
      guard r > 0, map.dimensions[2].isMultiple(of: r), map.dimensions[3].isMultiple(of: r) else {
        throw GraphError("\(map.text) unshuffled by \(r)")
      }
      return [.value(try call.compiler.moved(map, .pixelUnshuffled(r)))]
    },
    "channel_shuffle": { call in
      let (map, groups) = (try call.map("self"), try call.int("groups"))
      let channels = map.dimensions[1]
      guard groups > 0, channels.isMultiple(of: groups) else {
        throw GraphError("\(channels) channels in \(groups) groups")
      }
      let inner = channels / groups
      return [
        try picked(
          call, .value(map), 1, (0..<channels).map { ($0 % groups) * inner + $0 / groups })
      ]
    },
  ]

  static func joined(
    _ call: AtenCall, _ operands: [GraphOperand], _ axis: Int
  ) throws(GraphError) -> GraphOperand {
    let compiler = call.compiler
    var known: [HostArray] = []
    for operand in operands {
      if let array = try compiler.known(operand) { known.append(array) }
    }
    if known.count == operands.count { return .known(try HostArray.joined(known, axis: axis)) }
    var values: [GraphValue] = []
    for operand in operands { values.append(try compiler.value(operand)) }
    let main = values.max {
      ($0.isDependent ? 1 : 0, $0.count) < ($1.isDependent ? 1 : 0, $1.count)
    }
    guard let main else { throw GraphError("nothing to be joined") }
    let order = main.order
    if let images = main.batchAxis {
      guard images != axis else { throw GraphError("tensors joined along their images") }
      // What is the same for every image is repeated.
      values = try values.map { value throws(GraphError) in
        guard value.rank == main.rank else {
          throw GraphError("\(value.text) joined to \(main.text)")
        }
        return try compiler.repeatedForImages(value, axis: images)
      }
    }
    for value in values {
      let fits =
        value.rank == main.rank && value.batchAxis == main.batchAxis
        && (0..<main.rank).allSatisfy { $0 == axis || value.dimensions[$0] == main.dimensions[$0] }
      guard fits else {
        throw GraphError("\(value.text) joined to \(main.text) along axis \(axis)")
      }
    }
    values = try values.map { value throws(GraphError) in try compiler.arranged(value, order) }
    let place = order.firstIndex(of: axis) ?? 0
    return .value(
      try compiler.emit(values, order: order, batchAxis: main.batchAxis) { inputs, _ in
        Tensor.concatenated(inputs, axis: place)
      })
  }

  /// Places picked from an axis.
  static func picked(
    _ call: AtenCall, _ operand: GraphOperand, _ axis: Int, _ index: [Int]
  ) throws(GraphError) -> GraphOperand {
    let extent = operand.dimensions?[axis] ?? 0
    let places = index.map { $0 < 0 ? $0 + extent : $0 }
    guard !places.isEmpty, places.allSatisfy({ (0..<extent).contains($0) }) else {
      throw GraphError("indices into an axis of \(extent) that are none of its places")
    }
    if let array = try call.compiler.known(operand) {
      return .known(try array.picked(axis: axis, places))
    }
    let value = try call.compiler.value(operand)
    try call.requireNotImages(value, axis)
    let (place, list) = (value.order.firstIndex(of: axis) ?? 0, places.map { Int32($0) })
    return .value(try call.compiler.moved(value, .picked(axis: place, list)))
  }

  private static func padded(
    _ call: AtenCall, _ pad: [Int], _ mode: String, _ value: Double
  ) throws(GraphError) -> [GraphOperand] {
    let (operand, rank) = try call.tensorLike("self")
    guard pad.count.isMultiple(of: 2), pad.count <= 2 * rank,
      pad.allSatisfy({ Swift.abs($0) <= 1 << 20 })
    else { throw GraphError("padding \(pad) of \(rank) axes") }
    let modes: [String: PaddingMode] = [
      "constant": .constant(Float(value)), "reflect": .reflect, "replicate": .replicate,
      "circular": .circular,
    ]
    guard let way = modes[mode] else { throw GraphError("padding by \"\(mode)\"") }
    if pad.allSatisfy({ $0 == 0 }) { return [operand] }
    var result = operand
    for index in 0..<pad.count / 2 {
      let (before, after, axis) = (pad[2 * index], pad[2 * index + 1], rank - 1 - index)
      guard before != 0 || after != 0 else { continue }
      let extent = result.dimensions?[axis] ?? 0
      let kept = extent + min(0, before) + min(0, after)
      let more = max(before, after)
      guard kept > 0, mode != "reflect" || more < kept, mode != "circular" || more <= kept else {
        throw GraphError("an axis of \(extent) padded by \(before) and \(after), \(mode)")
      }
      if case .known(let array) = result {
        guard mode == "constant" else { throw GraphError("a constant padded by \"\(mode)\"") }
        result = .known(try array.padded(axis: axis, before, after, value))
        continue
      }
      let x = try call.compiler.value(result)
      try call.requireNotImages(x, axis)
      let place = x.order.firstIndex(of: axis) ?? 0
      guard way == .constant(0), min(before, after) >= 0 else {
        result = .value(
          try call.compiler.mapped(x) {
            $0.padded(axis: place, before: before, after: after, mode: way)
          })
        continue
      }
      result = .value(
        try call.compiler.moved(x, .padded(axis: place, before: before, after: after)))
    }
    return [result]
  }

  private static func repeated(
    _ call: AtenCall, _ repeats: [GraphNumber]
  ) throws(GraphError) -> GraphOperand {
    let (operand, _) = try call.tensorLike("self")
    var result = operand
    let new = repeats.count - (operand.dimensions?.count ?? 0)
    guard new >= 0 else {
      throw GraphError("\(operand.title) repeated along \(repeats.count) axes")
    }
    if new > 0 {
      if case .known(let array) = result {
        result = .known((0..<new).reduce(array) { kept, _ in kept.inserting(axis: 0) })
      } else {
        result = .value(
          try call.compiler.extended(try call.compiler.value(result), to: repeats.count))
      }
    }
    for (axis, count) in repeats.enumerated() {
      let extent = result.dimensions?[axis] ?? 0
      switch count {
      case .int(1),
        .perImage(1) where extent == 1 && !result.isDependent:
        continue
      case .int(let count) where count > 0 && count <= 1 << 20:
        // As many as images were exported: one serves all.
        if axis == 0, extent == 1, !result.isDependent, count == call.compiler.exportedImages {
          continue
        }
        guard extent * count <= HostArray.maximumCount else { throw GraphError("\(count) repeats") }
        result = try picked(call, result, axis, (0..<extent * count).map { $0 % extent })
      default: throw GraphError("\(count.text) repeats of \(result.title)")
      }
    }
    return result
  }

  /// Places picked by tensors of indices, which are known.
  private static let indexed: Entry = { call throws(GraphError) in
    let (operand, rank) = try call.tensorLike("self")
    var places: [(axis: Int, index: HostArray)] = []
    for (axis, item) in try call.operands("indices").enumerated() {
      if case .none = item { continue }
      guard axis < rank, let index = try call.compiler.known(item), index.kind == .integer else {
        throw GraphError(
          .unrecognised, "indices that depend on images, or a mask as index",
          advice: GraphError.capture)
      }
      places.append((axis, index))
    }
    guard let first = places.first else { return [operand] }
    guard places.enumerated().allSatisfy({ $1.axis == first.axis + $0 }) else {
      throw GraphError(
        .unrecognised, "indices of axes that are not neighbours", advice: GraphError.capture)
    }
    let shape = operand.dimensions ?? []
    var joint = first.index.shape
    for place in places {
      guard let both = HostArray.broadcast(joint, place.index.shape) else {
        throw GraphError("indices of shapes \(places.map(\.index.shape))")
      }
      joint = both
    }
    _ = try HostArray.count(joint)
    // Neighbouring axes as one.
    var flat = [Int](repeating: 0, count: joint.reduce(1, *))
    var extent = 1
    for (axis, index) in places {
      let values = index.expanded(to: joint).values
      for (place, value) in values.enumerated() {
        let own = Int(value) < 0 ? Int(value) + shape[axis] : Int(value)
        guard (0..<shape[axis]).contains(own) else {
          throw GraphError("index \(Int(value)) into an axis of \(shape[axis])")
        }
        flat[place] = flat[place] * shape[axis] + own
      }
      extent *= shape[axis]
    }
    let (start, end) = (first.axis, first.axis + places.count)
    let merged = Array(shape[..<start]) + [extent] + Array(shape[end...])
    let result = Array(shape[..<start]) + joint + Array(shape[end...])
    if case .known(let array) = operand {
      return [.known(try array.reshaped(merged).picked(axis: start, flat).reshaped(result))]
    }
    let compiler = call.compiler
    let value = try compiler.value(operand)
    func moved(_ by: Int) throws(GraphError) -> Int? {
      guard let axis = value.batchAxis else { return nil }
      guard axis < start || axis >= end else { throw GraphError("images picked by an index") }
      return axis < start ? axis : axis + by
    }
    let one = try compiler.reshaped(value, merged, batchAxis: try moved(1 - places.count))
    guard case .value(let rows) = try picked(call, .value(one), start, flat) else {
      throw GraphError("an index of a constant")
    }
    return [
      .value(
        try compiler.reshaped(rows, result, batchAxis: try moved(joint.count - places.count)))
    ]
  }
}

extension AtenCall {
  /// Refuses an operation along the axis of images.
  func requireNotImages(_ value: GraphValue, _ axis: Int) throws(GraphError) {
    guard value.batchAxis != axis else {
      throw GraphError(
        "\(operation) of \(value.text) along its images", expected: "images that stay apart")
    }
  }
}

extension HostArray {
  /// Places picked from an axis.
  func picked(axis: Int, _ index: [Int]) throws(GraphError) -> HostArray {
    var target = shape
    target[axis] = index.count
    _ = try Self.count(target)
    let values = values
    let inner = shape[(axis + 1)...].reduce(1, *)
    return try HostArray(kind, target) { place in
      let (outer, rest) = (place / (index.count * inner), place % (index.count * inner))
      return values[(outer * shape[axis] + index[rest / inner]) * inner + rest % inner]
    }
  }

  func padded(
    axis: Int, _ before: Int, _ after: Int, _ value: Double
  ) throws(GraphError) -> HostArray {
    var target = shape
    target[axis] += before + after
    let values = values
    let inner = shape[(axis + 1)...].reduce(1, *)
    return try HostArray(kind, target) { place in
      let (outer, rest) = (place / (target[axis] * inner), place % (target[axis] * inner))
      let own = rest / inner - before
      guard (0..<shape[axis]).contains(own) else { return value }
      return values[(outer * shape[axis] + own) * inner + rest % inner]
    }
  }

  static func joined(_ parts: [HostArray], axis: Int) throws(GraphError) -> HostArray {
    let first = parts[0]
    for part in parts {
      guard part.rank == first.rank,
        part.shape.indices.allSatisfy({ $0 == axis || part.shape[$0] == first.shape[$0] })
      else { throw GraphError("constants \(parts.map(\.shape)) joined along axis \(axis)") }
    }
    var shape = first.shape
    shape[axis] = parts.reduce(0) { $0 + $1.shape[axis] }
    _ = try count(shape)
    let outer = first.shape[..<axis].reduce(1, *)
    let rows = parts.map { ($0.values, $0.shape[axis...].reduce(1, *)) }
    var values: [Double] = []
    for index in 0..<outer {
      for (own, length) in rows { values += own[index * length..<(index + 1) * length] }
    }
    return HostArray(parts.map(\.kind).max() ?? first.kind, shape, values)
  }
}
