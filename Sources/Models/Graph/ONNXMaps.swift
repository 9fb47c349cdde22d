import Checkpoints
import Tensors

/// Convolutions and pools of maps, and of rows `[N, C, L]`.
extension ONNXOperations {
  private typealias Argument = ExportedProgram.Argument

  static let maps: [String: Entry] = [
    "Conv": { call in
      let (rank, window) = try convolution(call)
      try call.make(
        "conv\(rank)d",
        [
          "input": call[0], "weight": call[1], "bias": call[2], "stride": .ints(window.strides),
          "padding": .ints(window.padding), "dilation": .ints(window.dilations),
          "groups": .int(try call.int("group", 1)),
        ])
    },
    "ConvTranspose": { call in
      let (rank, window) = try convolution(call)
      let more = try call.ints("output_padding") ?? [Int](repeating: 0, count: rank)
      guard try call.ints("output_shape") == nil, !window.isAutomatic else {
        throw GraphError(
          .unrecognised, "padding that follows from a result's extents",
          expected: "the attribute pads", advice: GraphError.capture)
      }
      try call.make(
        "conv_transpose\(rank)d",
        [
          "input": call[0], "weight": call[1], "bias": call[2], "stride": .ints(window.strides),
          "padding": .ints(window.padding), "output_padding": .ints(more),
          "groups": .int(try call.int("group", 1)), "dilation": .ints(window.dilations),
        ])
    },
    "MaxPool": { call in
      call.ignore("storage_order")
      let window = try ONNXWindow(call, try call.ints("kernel_shape") ?? [])
      try call.make(
        "max_pool\(window.rank)d",
        [
          "self": call[0], "kernel_size": .ints(window.kernel), "stride": .ints(window.strides),
          "padding": .ints(window.padding), "dilation": .ints(window.dilations),
          "ceil_mode": .bool(try call.int("ceil_mode", 0) != 0),
        ])
    },
    "AveragePool": { call in
      let window = try ONNXWindow(call, try call.ints("kernel_shape") ?? [])
      try call.make(
        "avg_pool\(window.rank)d",
        [
          "self": call[0], "kernel_size": .ints(window.kernel), "stride": .ints(window.strides),
          "padding": .ints(window.padding), "dilation": .ints(window.dilations),
          "ceil_mode": .bool(try call.int("ceil_mode", 0) != 0),
          "count_include_pad": .bool(try call.int("count_include_pad", 0) != 0),
        ])
    },
    "GlobalAveragePool": { call in
      let rank = try call.extents(call[0]).count - 2
      try call.make(
        rank == 2 ? "adaptive_avg_pool2d" : "mean",
        rank == 2
          ? ["self": call[0], "output_size": .ints([1, 1])]
          : ["self": call[0], "dim": .ints(try places(rank)), "keepdim": .bool(true)])
    },
    "GlobalMaxPool": { call in
      let rank = try call.extents(call[0]).count - 2
      try call.make(
        "amax", ["self": call[0], "dim": .ints(try places(rank)), "keepdim": .bool(true)])
    },
    "Col2Im": { call in
      let size = try call.ints(1, "extents of a map") ?? []
      let kernel = try call.ints(2, "extents of a block") ?? []
      guard size.count == 2, kernel.count == 2 else {
        throw GraphError("columns of \(kernel) to \(size)", expected: "those of a map")
      }
      let window = try ONNXWindow(call, kernel)
      guard window.padding[0] == window.padding[2], window.padding[1] == window.padding[3] else {
        throw GraphError(.unrecognised, "padding \(window.padding)", advice: GraphError.capture)
      }
      try call.make(
        "col2im",
        [
          "self": call[0], "output_size": .ints(size), "kernel_size": .ints(kernel),
          "stride": .ints(window.strides), "padding": .ints(Array(window.padding[..<2])),
          "dilation": .ints(window.dilations),
        ])
    },
  ]

  /// The window of a convolution and its rank, 1 or 2.
  private static func convolution(_ call: ONNXCall) throws(GraphError) -> (Int, ONNXWindow) {
    let weight = try call.extents(call[1])
    guard weight.count == 3 || weight.count == 4 else {
      throw GraphError(
        .unrecognised, "a convolution by weights \(weight)", expected: "one of maps",
        advice: GraphError.capture)
    }
    let kernel = Array(weight[2...])
    guard try call.ints("kernel_shape") ?? kernel == kernel else {
      throw GraphError("a kernel of another shape than the weights \(weight)")
    }
    return (kernel.count, try ONNXWindow(call, kernel))
  }

  /// The axes behind images and channels.
  private static func places(_ rank: Int) throws(GraphError) -> [Int] {
    guard rank >= 1, rank <= 6 else { throw GraphError("a pool over \(rank) axes") }
    return Array(2..<rank + 2)
  }
}

/// The numbers of a window, rows before columns; of rows, one number each.
private struct ONNXWindow {
  let kernel: [Int]
  let strides: [Int]
  let dilations: [Int]
  /// Above, left, below, right; of rows, before and after.
  let padding: [Int]
  /// Whether the padding follows from extents.
  let isAutomatic: Bool

  var rank: Int { kernel.count }

  init(_ call: ONNXCall, _ kernel: [Int]) throws(GraphError) {
    self.kernel = kernel
    let rank = kernel.count
    let ones = [Int](repeating: 1, count: rank)
    let (strides, dilations) = (
      try call.ints("strides") ?? ones, try call.ints("dilations") ?? ones
    )
    (self.strides, self.dilations) = (strides, dilations)
    let told = try call.ints("pads") ?? [Int](repeating: 0, count: 2 * rank)
    let way = try call.text("auto_pad", "NOTSET")
    let numbers = kernel + strides + dilations
    guard rank == 1 || rank == 2, strides.count == rank, dilations.count == rank,
      told.count == 2 * rank, numbers.allSatisfy({ $0 > 0 && $0 <= 1 << 16 })
    else {
      throw GraphError(
        .unrecognised, "a window of \(kernel), strides \(strides), dilations \(dilations)",
        expected: "one over rows and columns", advice: GraphError.capture)
    }
    isAutomatic = way.hasPrefix("SAME")
    switch way {
    case "NOTSET", "": padding = told
    case "VALID": padding = [Int](repeating: 0, count: 2 * rank)
    case "SAME_UPPER", "SAME_LOWER":
      let extents = try call.extents(call[0])
      guard extents.count == rank + 2 else { throw GraphError("a window over \(extents)") }
      var (before, after) = ([Int](), [Int]())
      for side in 0..<rank {
        let extent = extents[2 + side]
        let count = (extent + strides[side] - 1) / strides[side]
        let span = (kernel[side] - 1) * dilations[side] + 1
        let total = max(0, (count - 1) * strides[side] + span - extent)
        let least = total / 2
        before.append(way == "SAME_UPPER" ? least : total - least)
        after.append(way == "SAME_UPPER" ? total - least : least)
      }
      padding = before + after
    default: throw GraphError("padding \"\(way)\"")
    }
  }
}
