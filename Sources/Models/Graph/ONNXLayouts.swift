import Checkpoints
import Tensors

/// Operations that give values under other extents, or put them elsewhere.
extension ONNXOperations {
  private typealias Argument = ExportedProgram.Argument

  static let layouts: [String: Entry] = [
    "Reshape": { call in
      let extents = try call.extents(call[0])
      var wanted = try call.ints(1, "extents") ?? []
      if try call.int("allowzero", 0) == 0 {
        for (place, extent) in wanted.enumerated() where extent == 0 && place < extents.count {
          wanted[place] = extents[place]
        }
      }
      try call.make("view", ["self": call[0], "size": .ints(wanted)])
    },
    "Flatten": { call in
      let extents = try call.extents(call[0])
      let told = try call.int("axis", 1)
      let axis = told == extents.count ? told : try call.place(told, extents.count)
      if axis == 1, extents.count > 1 {
        return try call.make(
          "flatten", ["self": call[0], "start_dim": .int(1), "end_dim": .int(-1)])
      }
      let (rows, columns) = (extents[..<axis], extents[axis...])
      try call.make(
        "view",
        [
          "self": call[0],
          "size": .ints([try HostArray.count(Array(rows)), try HostArray.count(Array(columns))]),
        ])
    },
    "Transpose": { call in
      let rank = try call.extents(call[0]).count
      let order = try call.ints("perm") ?? Array((0..<rank).reversed())
      try call.make("permute", ["self": call[0], "dims": .ints(order)])
    },
    "Squeeze": { call in
      let rank = try call.extents(call[0]).count
      guard let axes = try call.axes(1, rank: rank) else {
        return try call.make("squeeze", ["self": call[0]])
      }
      guard !axes.isEmpty else { return try same(call) }
      try call.make("squeeze", ["self": call[0], "dim": .ints(axes)])
    },
    "Unsqueeze": { call in
      let new = try call.ints(1, "axes") ?? []
      let rank = try call.extents(call[0]).count + new.count
      let axes = try new.map { axis throws(GraphError) in try call.place(axis, rank) }.sorted()
      guard Set(axes).count == axes.count, rank <= 8, let last = axes.last else {
        throw GraphError("new axes \(new)", expected: "different ones, of 8 in all")
      }
      var value = call[0]
      for axis in axes.dropLast() {
        value = try call.step("unsqueeze", ["self": value, "dim": .int(axis)])
      }
      try call.make("unsqueeze", ["self": value, "dim": .int(last)])
    },
    "Concat": { call in
      try call.make(
        "cat", ["tensors": .list(call.inputs), "dim": .int(try call.int("axis", 0))])
    },
    "Split": { call in
      let extents = try call.extents(call[0])
      let axis = try call.place(try call.int("axis", 0), extents.count)
      let parts = call.node.outputs.count
      guard try call.int("num_outputs", parts) == parts, parts > 0 else {
        throw GraphError("\(parts) results", expected: "as many as it says")
      }
      var sizes = try call.ints(1, "parts") ?? []
      if sizes.isEmpty {
        let size = (extents[axis] + parts - 1) / parts
        sizes = [Int](repeating: size, count: parts - 1) + [extents[axis] - size * (parts - 1)]
      }
      try call.makeAll(
        "split_with_sizes", ["self": call[0], "split_sizes": .ints(sizes), "dim": .int(axis)])
    },
    "Slice": sliced,
    "Gather": { call in
      let index = try call.requireKnown(1, "indices")
      let extents = try call.extents(call[0])
      let axis = try call.place(try call.int("axis", 0), extents.count)
      guard index.kind == .integer else { throw GraphError("indices that are no whole numbers") }
      if index.rank == 0, let place = index.scalar {
        let index = Int(min(max(place, -0x1p31), 0x1p31))
        return try call.make(
          "select", ["self": call[0], "dim": .int(axis), "index": .int(index)])
      }
      if axis == 0, case .value(let value) = try call.operand(call[0]), value.batchAxis == 0,
        call.compiler.exportedImages == 1
      {
        // Exported for one image, whose places lie along the axis: every image picks alike.
        let cut = try call.step("view", ["self": call[0], "size": .ints([1] + extents)])
        let picked = try call.step(
          "index", ["self": cut, "indices": .list([.none, call.constant(index)])])
        return try call.make(
          "view", ["self": picked, "size": .ints(index.shape + extents.dropFirst())])
      }
      let skipped = [Argument](repeating: .none, count: axis)
      try call.make(
        "index", ["self": call[0], "indices": .list(skipped + [call.constant(index)])])
    },
    "GatherND": { call in
      try call.require("batch_dims", 0, is: 0)
      let index = try call.requireKnown(1, "indices")
      guard index.rank >= 1, index.kind == .integer, let depth = index.shape.last, depth > 0 else {
        throw GraphError("indices of shape \(index.shape)", expected: "rows of whole numbers")
      }
      let parts = (0..<depth).map { call.constant(index.selected(axis: index.rank - 1, $0)) }
      try call.make("index", ["self": call[0], "indices": .list(parts)])
    },
    "Expand": { call in
      let extents = try call.extents(call[0])
      var wanted = try call.ints(1, "extents") ?? []
      while wanted.count < extents.count { wanted.insert(1, at: 0) }
      // An extent of 1 leaves what is there.
      let new = wanted.count - extents.count
      for place in extents.indices where wanted[new + place] == 1 {
        wanted[new + place] = extents[place]
      }
      try call.make("expand", ["self": call[0], "size": .ints(wanted)])
    },
    "Tile": { call in
      try call.make(
        "repeat", ["self": call[0], "repeats": .ints(try call.ints(1, "repeats") ?? [])])
    },
    "Pad": { call in
      let rank = try call.extents(call[0]).count
      let axes = try call.axes(3, rank: rank) ?? Array(0..<rank)
      let pads = try call.ints(1, "padding") ?? []
      guard pads.count == 2 * axes.count, Set(axes).count == axes.count else {
        throw GraphError("padding \(pads) of axes \(axes)", expected: "two numbers an axis")
      }
      // PyTorch begins with the last axis.
      var list = [Int](repeating: 0, count: 2 * rank)
      for (place, axis) in axes.enumerated() {
        list[2 * (rank - 1 - axis)] = pads[place]
        list[2 * (rank - 1 - axis) + 1] = pads[axes.count + place]
      }
      while list.count > 2, list.suffix(2) == [0, 0] { list.removeLast(2) }
      let modes = ["edge": "replicate", "wrap": "circular"]
      let mode = try call.text("mode", "constant")
      let value = call.has(2) ? try call.requireKnown(2, "values of padding").scalar ?? 0 : 0
      try call.make(
        "pad",
        [
          "self": call[0], "pad": .ints(list), "mode": .string(modes[mode] ?? mode),
          "value": .real(value),
        ])
    },
    "DepthToSpace": { call in
      let extents = try call.extents(call[0])
      let (r, mode) = (try call.int("blocksize", 0), try call.text("mode", "DCR"))
      if mode == "CRD" {
        return try call.make("pixel_shuffle", ["self": call[0], "upscale_factor": .int(r)])
      }
      guard mode == "DCR", extents.count == 4, r > 0, r < 1 << 15,
        extents[1].isMultiple(of: r * r)
      else { throw GraphError("depth \(extents) to space by \(r), \(mode)") }
      let (n, c, h, w) = (extents[0], extents[1] / (r * r), extents[2], extents[3])
      let cut = try call.step("view", ["self": call[0], "size": .ints([n, r, r, c, h, w])])
      let turned = try call.step("permute", ["self": cut, "dims": .ints([0, 3, 4, 1, 5, 2])])
      try call.make("view", ["self": turned, "size": .ints([n, c, h * r, w * r])])
    },
    "SpaceToDepth": { call in
      let extents = try call.extents(call[0])
      let r = try call.int("blocksize", 0)
      guard extents.count == 4, r > 0, extents[2].isMultiple(of: r), extents[3].isMultiple(of: r)
      else { throw GraphError("space \(extents) to depth by \(r)") }
      let (n, c, h, w) = (extents[0], extents[1], extents[2] / r, extents[3] / r)
      let cut = try call.step("view", ["self": call[0], "size": .ints([n, c, h, r, w, r])])
      let turned = try call.step("permute", ["self": cut, "dims": .ints([0, 3, 5, 1, 2, 4])])
      try call.make("view", ["self": turned, "size": .ints([n, c * r * r, h, w])])
    },
  ]

  private static let sliced: Entry = { call in
    let rank = try call.extents(call[0]).count
    let starts = try call.ints(1, "starts") ?? []
    let ends = try call.ints(2, "ends") ?? []
    let axes =
      try call.ints(3, "axes")?.map { axis throws(GraphError) in try call.place(axis, rank) }
      ?? Array(0..<min(starts.count, rank))
    let steps = try call.ints(4, "steps") ?? [Int](repeating: 1, count: starts.count)
    guard starts.count == ends.count, starts.count == axes.count, starts.count == steps.count,
      Set(axes).count == axes.count
    else { throw GraphError("starts \(starts), ends \(ends), axes \(axes), steps \(steps)") }
    var value = call[0]
    for (place, axis) in axes.enumerated() {
      var (start, end, step) = (starts[place], ends[place], steps[place])
      if step < 0 {
        // Backwards: the axis turned round, then forwards.
        let extent = try call.extents(value)[axis]
        func turned(_ index: Int) -> Int {
          let own = index < 0 ? index + extent : index
          return extent - 1 - min(max(own, -1), extent - 1)
        }
        value = try call.step("flip", ["self": value, "dims": .ints([axis])])
        (start, end, step) = (turned(start), turned(end), -step)
      }
      value = try call.step(
        "slice",
        [
          "self": value, "dim": .int(axis), "start": .int(start), "end": .int(end),
          "step": .int(step),
        ])
    }
    try call.make("alias", ["self": value])
  }
}
