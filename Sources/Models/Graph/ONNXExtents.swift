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
      let (data, index) = (
        try call.requireKnown(0, "values changed in place"), try call.requireKnown(1, "indices")
      )
      call.give(try data.scattered(index, try call.requireKnown(2, "values put in place")))
    },
  ]

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
