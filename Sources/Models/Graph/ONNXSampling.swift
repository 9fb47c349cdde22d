import Checkpoints
import Tensors

/// Maps at other places.
extension ONNXOperations {
  private typealias Argument = ExportedProgram.Argument

  static let sampling: [String: Entry] = [
    "Resize": resampled,
    "GridSample": { call in
      let ways = ["bilinear": 0, "linear": 0, "nearest": 1, "bicubic": 2, "cubic": 2]
      let borders = ["zeros": 0, "border": 1, "reflection": 2]
      let (mode, border) = (
        try call.text("mode", "bilinear"), try call.text("padding_mode", "zeros")
      )
      guard let way = ways[mode], let border = borders[border] else {
        throw GraphError("a grid sampled by \(mode), \(border)")
      }
      try call.make(
        "grid_sampler",
        [
          "input": call[0], "grid": call[1], "interpolation_mode": .int(way),
          "padding_mode": .int(border),
          "align_corners": .bool(try call.int("align_corners", 0) != 0),
        ])
    },
  ]

  private static let resampled: Entry = { call in
    let extents = try call.extents(call[0])
    let axes = try call.ints("axes") ?? Array(extents.indices)
    let places = try axes.map { axis throws(GraphError) in try call.place(axis, extents.count) }
    _ = call[1]
    call.ignore("extrapolation_value")
    guard try call.text("keep_aspect_ratio_policy", "stretch") == "stretch" else {
      throw GraphError(.unrecognised, "extents that keep a ratio", advice: GraphError.capture)
    }
    var target = extents
    var scales = [Double?](repeating: nil, count: extents.count)
    if let sizes = try call.ints(3, "extents"), !sizes.isEmpty {
      guard sizes.count == places.count else { throw GraphError("extents \(sizes) of \(axes)") }
      for (axis, size) in zip(places, sizes) { target[axis] = size }
    } else {
      let factors = try call.requireKnown(2, "scales").values
      guard factors.count == places.count, factors.allSatisfy({ $0 > 0 && $0 <= 65536 }) else {
        throw GraphError("scales \(factors) of axes \(axes)")
      }
      for (axis, factor) in zip(places, factors) {
        target[axis] = Int((Double(extents[axis]) * factor).rounded(.down))
        scales[axis] = factor
      }
    }
    guard extents.count >= 2, target[0] == extents[0], extents.count <= 8,
      target.allSatisfy({ $0 > 0 && $0 <= 1 << 20 })
    else {
      throw GraphError("\(extents) resampled to \(target)", expected: "images kept, and places")
    }
    let way = try ONNXResampling(call)
    if extents.count == 4, target[1] == extents[1],
      let operation = way.operation(isSingle: target[2] == 1 || target[3] == 1)
    {
      return try call.make(
        operation,
        [
          "self": call[0], "output_size": .ints([target[2], target[3]]),
          "align_corners": .bool(way.alignsCorners),
          "scales_h": scales[2].map { .real($0) } ?? .none,
          "scales_w": scales[3].map { .real($0) } ?? .none,
        ])
    }
    // One axis after the other, by what each of its places is made of.
    let letters = "abcdefgh".prefix(extents.count)
    var value = call[0]
    for (axis, letter) in letters.enumerated() where axis > 0 && target[axis] != extents[axis] {
      let scale = scales[axis] ?? Double(Float(target[axis]) / Float(extents[axis]))
      let rows = try way.weights(from: extents[axis], to: target[axis], scale: scale)
      let weights = HostArray(.float32, [target[axis], extents[axis]], rows.flatMap(\.self))
      let result = letters.replacing(String(letter), with: "z")
      value = try call.step(
        "einsum",
        [
          "equation": .string("\(letters),z\(letter)->\(result)"),
          "tensors": .list([value, call.constant(weights)]),
        ])
    }
    try call.make("alias", ["self": value])
  }
}
