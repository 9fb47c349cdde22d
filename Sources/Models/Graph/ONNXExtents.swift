import Checkpoints
import Tensors

/// Arithmetic on extents, and tensors of numbers: all are known.
extension ONNXOperations {
  static let extents: [String: Entry] = [
    "Shape": { call in
      let extents = try call.extents(call[0])
      func place(_ index: Int) -> Int {
        min(max(index < 0 ? index + extents.count : index, 0), extents.count)
      }
      let (start, end) = (
        place(try call.int("start", 0)), place(try call.int("end", extents.count))
      )
      let part = start < end ? extents[start..<end].map(Double.init) : []
      call.give(HostArray(.integer, [part.count], part))
    },
    "Size": { call in
      let count = try HostArray.count(try call.extents(call[0]))
      call.give(HostArray(.integer, scalar: Double(count)))
    },
    "ConstantOfShape": { call in
      let shape = try constantShape(call, 0)
      let value = try call.known(call.tensor("value")) ?? HostArray(.float32, scalar: 0)
      guard let number = value.scalar else {
        throw GraphError("a value of shape \(value.shape)", expected: "one number")
      }
      call.give(try HostArray(value.kind, shape) { _ in number })
    },
    "Range": { call in
      let parts = try (0..<3).map { index throws(GraphError) in
        try call.requireKnown(index, "bounds of a range")
      }
      let numbers = parts.compactMap(\.scalar)
      guard numbers.count == 3, numbers.allSatisfy(\.isFinite), numbers[2] != 0 else {
        throw GraphError("a range of other than three numbers")
      }
      let count = max(0, ((numbers[1] - numbers[0]) / numbers[2]).rounded(.up))
      guard count <= Double(HostArray.maximumCount) else { throw GraphError("a range of \(count)") }
      call.give(
        try HostArray(parts[0].kind, [Int(count)]) { numbers[0] + Double($0) * numbers[2] })
    },
    "Trilu": { call in
      let diagonal = try call.known(call[1])?.scalar ?? 0
      try call.make(
        try call.int("upper", 1) == 1 ? "triu" : "tril",
        ["self": call[0], "diagonal": .int(Int(min(max(diagonal, -0x1p31), 0x1p31)))])
    },
    "ScatterND": { call in
      guard try call.text("reduction", "none") == "none" else {
        throw GraphError(.unrecognised, "values combined in place", advice: GraphError.capture)
      }
      let index = try call.requireKnown(1, "indices")
      if let data = try call.known(call[0]), let updates = try call.known(call[2]) {
        return call.give(try data.scattered(index, updates))
      }
      try put(call, index)
    },
  ]

  /// Values put at places that an index names: of those that are there and those that come, one after the other, the
  /// ones that are wanted.
  private static func put(_ call: ONNXCall, _ index: HostArray) throws {
    let (data, updates) = (try call.extents(call[0]), try call.extents(call[2]))
    func images(_ argument: ExportedProgram.Argument) throws -> Int? {
      guard case .value(let value) = try call.operand(argument) else { return nil }
      return value.batchAxis
    }
    let (own, other) = (try images(call[0]), try images(call[2]))
    var (index, rest, new) = (index, data, updates)
    let depth = index.shape.last ?? 0
    if let own, own >= depth {
      // Each image's own, behind what the index names.
      let place = index.rank - 1 + own - depth
      guard new.indices.contains(place), other == place || other == nil && new[place] == 1 else {
        throw GraphError("\(updates) put into images", expected: "images that stay apart")
      }
      rest.remove(at: own)
      new.remove(at: place)
    } else if let own {
      // What an index says of the only image goes without saying.
      let said = index.selected(axis: index.rank - 1, own).values
      guard call.compiler.exportedImages == 1, said.allSatisfy({ $0 == 0 || $0 == -1 }),
        other.map({ new[$0] == 1 }) ?? true
      else { throw GraphError("images named by an index", expected: "images that stay apart") }
      let columns = try (0..<depth).filter { $0 != own }.map { column throws(GraphError) in
        index.selected(axis: index.rank - 1, column).inserting(axis: index.rank - 1)
      }
      guard !columns.isEmpty else { throw GraphError("nothing but images named by an index") }
      index = try HostArray.joined(columns, axis: index.rank - 1)
      rest.remove(at: own)
    } else if other != nil {
      throw GraphError("images put into what is the same for all", advice: GraphError.capture)
    }
    let (count, more) = (try HostArray.count(rest), try HostArray.count(new))
    let places = try HostArray(.integer, rest) { Double($0) }
      .scattered(index, HostArray(.integer, new) { Double(count + $0) })
    /// All values of an image as a row.
    func row(
      _ argument: ExportedProgram.Argument, _ axis: Int?, _ rank: Int, _ count: Int
    ) throws -> ExportedProgram.Argument {
      guard let axis else {
        return try call.step("view", ["self": argument, "size": .ints([1, count])])
      }
      let first = try call.step(
        "permute",
        ["self": argument, "dims": .ints([axis] + (0..<rank).filter { $0 != axis })])
      return try call.step("flatten", ["self": first, "start_dim": .int(1), "end_dim": .int(-1)])
    }
    let both = try call.step(
      "cat",
      [
        "tensors": .list([
          try row(call[0], own, data.count, count), try row(call[2], other, updates.count, more),
        ]), "dim": .int(1),
      ])
    let chosen = try call.step(
      "index_select",
      ["self": both, "dim": .int(1), "index": call.constant(places.reshaped([count]))])
    guard let own else {
      return try call.make("view", ["self": chosen, "size": .ints(data)])
    }
    let apart = try call.step(
      "unflatten", ["self": chosen, "dim": .int(1), "sizes": .ints(rest)])
    var order = Array(1...rest.count)
    order.insert(0, at: own)
    try call.make("permute", ["self": apart, "dims": .ints(order)])
  }

  /// Extents of a constant: what is the same for every image is one, and repeated where it meets others.
  private static func constantShape(_ call: ONNXCall, _ index: Int) throws -> [Int] {
    var shape = try call.ints(index, "extents") ?? []
    if shape.first == call.compiler.exportedImages, call.compiler.isOpen { shape[0] = 1 }
    return shape
  }
}

extension HostArray {
  /// A copy with blocks of values put at the places that the rows of an index name.
  func scattered(_ index: HostArray, _ updates: HostArray) throws(GraphError) -> HostArray {
    let depth = index.shape.last ?? 0
    guard index.rank >= 1, index.kind == .integer, depth >= 1, depth <= rank,
      updates.shape == Array(index.shape.dropLast()) + Array(shape[depth...])
    else {
      throw GraphError("values \(updates.shape) at \(index.shape) of \(shape)", expected: "a fit")
    }
    var values = values
    let (places, parts) = (index.values, updates.values)
    let block = shape[depth...].reduce(1, *)
    for row in 0..<places.count / depth {
      var place = 0
      for axis in 0..<depth {
        let told = Int(min(max(places[row * depth + axis], -0x1p31), 0x1p31))
        let own = told < 0 ? told + shape[axis] : told
        guard (0..<shape[axis]).contains(own) else {
          throw GraphError("index \(told) into an axis of \(shape[axis])")
        }
        place = place * shape[axis] + own
      }
      for k in 0..<block { values[place * block + k] = kind.rounded(parts[row * block + k]) }
    }
    return HostArray(kind, shape, values)
  }
}
