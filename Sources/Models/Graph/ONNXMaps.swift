import Checkpoints
import Tensors

/// Convolutions, pools and resampling of maps.
extension ONNXOperations {
  private typealias Argument = ExportedProgram.Argument

  static let maps: [String: Entry] = [
    "Conv": { call in
      let weight = try call.extents(call[1])
      guard weight.count == 4 else {
        throw GraphError(
          .unrecognised, "a convolution by weights \(weight)", expected: "one of maps",
          advice: GraphError.capture)
      }
      let kernel = Array(weight[2...])
      guard try call.ints("kernel_shape") ?? kernel == kernel else {
        throw GraphError("a kernel of another shape than the weights \(weight)")
      }
      let window = try ONNXWindow(call, kernel)
      try call.make(
        "conv2d",
        [
          "input": call[0], "weight": call[1], "bias": call[2], "stride": .ints(window.strides),
          "padding": .ints(window.padding), "dilation": .ints(window.dilations),
          "groups": .int(try call.int("group", 1)),
        ])
    },
    "MaxPool": { call in
      call.ignore("storage_order")
      let window = try ONNXWindow(call, try call.ints("kernel_shape") ?? [])
      try call.make(
        "max_pool2d",
        [
          "self": call[0], "kernel_size": .ints(window.kernel), "stride": .ints(window.strides),
          "padding": .ints(window.padding), "dilation": .ints(window.dilations),
          "ceil_mode": .bool(try call.int("ceil_mode", 0) != 0),
        ])
    },
    "AveragePool": { call in
      let window = try ONNXWindow(call, try call.ints("kernel_shape") ?? [])
      try call.make(
        "avg_pool2d",
        [
          "self": call[0], "kernel_size": .ints(window.kernel), "stride": .ints(window.strides),
          "padding": .ints(window.padding), "dilation": .ints(window.dilations),
          "ceil_mode": .bool(try call.int("ceil_mode", 0) != 0),
          "count_include_pad": .bool(try call.int("count_include_pad", 0) != 0),
        ])
    },
    "GlobalAveragePool": { call in
      try call.make("adaptive_avg_pool2d", ["self": call[0], "output_size": .ints([1, 1])])
    },
    "GlobalMaxPool": { call in
      try call.make(
        "amax", ["self": call[0], "dim": .ints([2, 3]), "keepdim": .bool(true)])
    },
    "Resize": resampled,
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

  /// What PyTorch has of the many ways of ONNX; another is refused by its names.
  private static let resampled: Entry = { call in
    let extents = try call.extents(call[0])
    guard extents.count == 4 else { throw GraphError("\(extents) resampled", expected: "a map") }
    let axes = try call.ints("axes") ?? [0, 1, 2, 3]
    let places = try axes.map { axis throws(GraphError) in try call.place(axis, 4) }
    _ = call[1]
    call.ignore("extrapolation_value")
    guard try call.text("keep_aspect_ratio_policy", "stretch") == "stretch" else {
      throw GraphError(.unrecognised, "extents that keep a ratio", advice: GraphError.capture)
    }
    var target = extents
    var scales = [Double?](repeating: nil, count: 4)
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
    guard target[0] == extents[0], target[1] == extents[1] else {
      throw GraphError("\(extents) resampled to \(target)", expected: "images and channels kept")
    }
    let way = try ResamplingWay(call, isSingle: target[2] == 1 || target[3] == 1)
    try call.make(
      way.operation,
      [
        "self": call[0], "output_size": .ints([target[2], target[3]]),
        "align_corners": .bool(way.alignsCorners), "scales_h": scales[2].map { .real($0) } ?? .none,
        "scales_w": scales[3].map { .real($0) } ?? .none,
      ])
  }
}

/// The way of resampling that attributes ask for.
private struct ResamplingWay {
  let operation: String
  let alignsCorners: Bool

  init(_ call: ONNXCall, isSingle: Bool) throws(GraphError) {
    let mode = try call.text("mode", "nearest")
    let place = try call.text("coordinate_transformation_mode", "half_pixel")
    let rounding = try call.text("nearest_mode", "round_prefer_floor")
    let slope = try call.real("cubic_coeff_a", -0.75)
    let isSmoothed = try call.int("antialias", 0) != 0
    let isInside = try call.int("exclude_outside", 0) != 0
    // Over one place these differ.
    let isHalf = place == "half_pixel" || place == "pytorch_half_pixel" && !isSingle
    alignsCorners = place == "align_corners"
    switch (mode, isSmoothed) {
    case ("nearest", false) where place == "asymmetric" && rounding == "floor":
      operation = "upsample_nearest2d"
    case ("nearest", false) where isHalf && rounding == "round_prefer_ceil":
      operation = "_upsample_nearest_exact2d"
    case ("linear", false) where isHalf || alignsCorners: operation = "upsample_bilinear2d"
    case ("cubic", false) where (isHalf || alignsCorners) && slope == -0.75 && !isInside:
      operation = "upsample_bicubic2d"
    case ("cubic", true) where isHalf && slope == -0.5 && isInside:
      operation = "_upsample_bicubic2d_aa"
    default:
      throw GraphError(
        .unrecognised, "resampling by \(mode), \(place), \(rounding), \(slope)",
        expected: "a way that PyTorch has", advice: GraphError.capture)
    }
  }
}

/// The numbers of a window, rows before columns.
private struct ONNXWindow {
  let kernel: [Int]
  let strides: [Int]
  let dilations: [Int]
  /// Above, left, below, right.
  let padding: [Int]

  init(_ call: ONNXCall, _ kernel: [Int]) throws(GraphError) {
    self.kernel = kernel
    let (strides, dilations) = (
      try call.ints("strides") ?? [1, 1], try call.ints("dilations") ?? [1, 1]
    )
    (self.strides, self.dilations) = (strides, dilations)
    let told = try call.ints("pads") ?? [0, 0, 0, 0]
    let way = try call.text("auto_pad", "NOTSET")
    let numbers = kernel + strides + dilations
    guard kernel.count == 2, strides.count == 2, dilations.count == 2, told.count == 4,
      numbers.allSatisfy({ $0 > 0 && $0 <= 1 << 16 })
    else {
      throw GraphError(
        .unrecognised, "a window of \(kernel), strides \(strides), dilations \(dilations)",
        expected: "one over rows and columns", advice: GraphError.capture)
    }
    switch way {
    case "NOTSET", "": padding = told
    case "VALID": padding = [0, 0, 0, 0]
    case "SAME_UPPER", "SAME_LOWER":
      let extents = try call.extents(call[0])
      guard extents.count == 4 else { throw GraphError("a window over \(extents)") }
      var (before, after) = ([Int](), [Int]())
      for side in 0..<2 {
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
