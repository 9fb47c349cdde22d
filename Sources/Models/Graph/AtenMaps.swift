import Tensors

/// Convolutions, pools, normalisations and resampling of maps `[N, C, H, W]`, which lie channels last.
extension AtenOperations {
  static let maps: [String: Entry] = [
    "conv2d": { call in
      let map = try call.map("input")
      let weight = try call["weight"].dimensions ?? []
      guard weight.count == 4, weight.allSatisfy({ $0 > 0 }) else {
        throw GraphError("weights \(weight)", expected: "[out, in / groups, kh, kw]")
      }
      var window = GraphWindow()
      window.kernel = (weight[2], weight[3])
      window.stride = try call.pair("stride", [1, 1])
      window.dilation = try call.pair("dilation", [1, 1])
      if case .text(let way) = try call["padding"] {
        try window.pad(way)
      } else {
        window.padding = try call.padding()
      }
      return [.value(try convolution(call, map, window, groups: try call.int("groups", 1)))]
    },
    "batch_norm": { call in
      guard try !call.bool("training", false) else {
        throw GraphError(
          .conflict, "batch normalisation in training", expected: "a model in evaluation",
          advice: "Call model.eval() before torch.export.export")
      }
      let value = try call.tensor("input")
      guard value.rank >= 2, value.batchAxis != 1 else {
        throw GraphError(
          "batch normalisation of \(value.text)", expected: "channels as second axis")
      }
      let (scale, shift) = try foldedNorm(call, channels: value.dimensions[1])
      let x = try call.compiler.innermost(value, 1)
      return [
        .value(
          try call.compiler.emit([x, scale, shift], order: x.order, batchAxis: x.batchAxis) {
            inputs, _ in ChannelAffine(scale: inputs[1], shift: inputs[2])(inputs[0])
          })
      ]
    },
    "max_pool2d": { call in
      let (map, window) = try pool(call)
      let sliding = try window.sliding(map, isPool: true)
      return [.value(try call.compiler.mapped(map) { $0.maxPooled(sliding) })]
    },
    "avg_pool2d": { call in
      let (map, window) = try pool(call)
      let sliding = try window.sliding(map, isPool: true)
      var divisor: PoolingDivisor = try call.bool("count_include_pad", true) ? .window : .inside
      if let fixed = try call.optionalInt("divisor_override") {
        guard fixed > 0 else { throw GraphError("a divisor of \(fixed)") }
        divisor = .fixed(fixed)
      }
      let chosen = divisor
      return [
        .value(try call.compiler.mapped(map) { $0.averagePooled(sliding, divisor: chosen) })
      ]
    },
    "adaptive_avg_pool2d": { call in
      let map = try call.map("self")
      let (rows, columns) = try call.outputSize("output_size")
      return [
        .value(try call.compiler.mapped(map) { $0.averagePooled(height: rows, width: columns) })
      ]
    },
    "adaptive_max_pool2d": { call in
      let map = try call.map("self")
      let (rows, columns) = try call.outputSize("output_size")
      return [
        .value(try call.compiler.mapped(map) { $0.maxPooled(height: rows, width: columns) }),
        .other("the places of the largest values"),
      ]
    },
    "adaptive_avg_pool1d": { call in
      let value = try call.tensor("self")
      let count = try call.ints("output_size").first ?? 0
      guard value.rank == 3, value.batchAxis == 0, count > 0, count <= 1 << 20 else {
        throw GraphError("a pool of \(value.text) to \(count)")
      }
      let x = try call.compiler.arranged(value, [0, 2, 1])
      return [
        .value(
          try call.compiler.mapped(x) { x in
            let (n, length, channels) = (x.shape[0], x.shape[1], x.shape[2])
            return x.reshaped([n, length, 1, channels]).averagePooled(height: count, width: 1)
              .reshaped([n, count, channels])
          })
      ]
    },
    "upsample_nearest2d": { call in try resampled(call) { _ in .nearest } },
    "_upsample_nearest_exact2d": { call in try resampled(call) { _ in .nearestExact } },
    "upsample_bilinear2d": { call in try resampled(call) { .linear(alignsCorners: $0) } },
    "upsample_bicubic2d": { call in try resampled(call) { .cubic(alignsCorners: $0) } },
    "_upsample_bicubic2d_aa": { call in
      guard try !call.bool("align_corners", false) else {
        throw GraphError("antialiased resampling with aligned corners")
      }
      return try resampled(call) { _ in .antialiasedCubic }
    },
    "im2col": { call in
      let map = try call.map("self")
      let window = try call.window(kernel: try call.pair("kernel_size", []), stride: [1, 1])
      let sliding = try window.sliding(map, isPool: false)
      let (channels, taps) = (map.dimensions[1], window.kernel.0 * window.kernel.1)
      let seen = try call.compiler.emit([map], order: [0, 3, 2, 1], batchAxis: map.batchAxis) {
        inputs, _ in inputs[0].unfolded(sliding)
      }
      return [
        .value(
          try call.compiler.reshaped(
            seen, [seen.dimensions[0], channels * taps, seen.dimensions[3]],
            batchAxis: map.batchAxis))
      ]
    },
    "col2im": { call in
      let value = try call.tensor("self")
      let (height, width) = try call.outputSize("output_size")
      let window = try call.window(kernel: try call.pair("kernel_size", []), stride: [1, 1])
      let taps = window.kernel.0 * window.kernel.1
      guard value.rank == 3, value.batchAxis == 0, taps > 0,
        value.dimensions[1].isMultiple(of: taps)
      else { throw GraphError("\(value.text) folded by \(window.text)") }
      let channels = value.dimensions[1] / taps
      let map = GraphValue(
        slot: 0, dimensions: [value.dimensions[0], channels, height, width], order: [0, 2, 3, 1],
        batchAxis: 0)
      let sliding = try window.sliding(map, isPool: false)
      guard let places = sliding.extents(height: height, width: width),
        places.height * places.width == value.dimensions[2]
      else { throw GraphError("\(value.text) folded to \(map.text) by \(window.text)") }
      let split = try call.compiler.reshaped(
        value, [value.dimensions[0], channels, taps, value.dimensions[2]], batchAxis: 0)
      let x = try call.compiler.arranged(split, [0, 3, 2, 1])
      return [
        .value(
          try call.compiler.emit([x], order: [0, 2, 3, 1], batchAxis: 0) { inputs, _ in
            inputs[0].folded(sliding, height: height, width: width)
          })
      ]
    },
  ]

  private static func pool(_ call: AtenCall) throws(GraphError) -> (GraphValue, GraphWindow) {
    let map = try call.map("self")
    let kernel = try call.pair("kernel_size", [])
    var window = try call.window(kernel: kernel, stride: [kernel.0, kernel.1])
    window.ceilMode = try call.bool("ceil_mode", false)
    return (map, window)
  }

  /// Scale and shift of a batch normalisation by its running statistics.
  private static func foldedNorm(
    _ call: AtenCall, channels: Int
  ) throws(GraphError) -> (scale: GraphValue, shift: GraphValue) {
    let compiler = call.compiler
    guard try call["running_mean"].isTensor, try call["running_var"].isTensor else {
      throw GraphError(
        .conflict, "batch normalisation without running statistics",
        expected: "those that evaluation uses", advice: GraphError.capture)
    }
    func vector(_ name: String, _ standard: Double) throws(GraphError) -> GraphValue {
      try call.vector(name, channels)
        ?? compiler.constant(
          HostArray(.float32, [channels], [Double](repeating: standard, count: channels)))
    }
    let (mean, variance) = (try vector("running_mean", 0), try vector("running_var", 1))
    let (gamma, beta) = (try vector("weight", 1), try vector("bias", 0))
    let epsilon = Float(try call.real("eps", 1e-5))
    let scale = try compiler.emit([gamma, variance], order: [0], batchAxis: nil) { inputs, _ in
      inputs[0] * (inputs[1] + epsilon).rsqrt()
    }
    let shift = try compiler.emit([beta, mean, scale], order: [0], batchAxis: nil) { inputs, _ in
      inputs[0] - inputs[1] * inputs[2]
    }
    return (scale, shift)
  }

  private static func convolution(
    _ call: AtenCall, _ map: GraphValue, _ window: GraphWindow, groups: Int
  ) throws(GraphError) -> GraphValue {
    let compiler = call.compiler
    let operand = try call["weight"]
    guard let shape = operand.dimensions, groups > 0, map.dimensions[1] == shape[1] * groups,
      shape[0].isMultiple(of: groups), !operand.isDependent
    else {
      throw GraphError(
        "weights \(operand.dimensions ?? []) in \(groups) groups over a map \(map.text)",
        expected: "weights [out, in / groups, kh, kw] that fit")
    }
    let sliding = try window.sliding(map, isPool: false)
    let isDepthwise = groups > 1 && shape[1] == 1 && shape[0] == groups
    var weight: GraphValue
    if case .stored(let stored) = operand, stored.isParameter {
      weight = try compiler.value(of: stored, layout: isDepthwise ? .depthwise : .convolution)
    } else {
      weight = try compiler.value(operand)
    }
    weight = try compiler.arranged(weight, isDepthwise ? [2, 3, 0, 1] : [0, 2, 3, 1])
    let bias = try call.vector("bias", shape[0])
    let hasBias = bias != nil
    return try compiler.emit(
      [map, weight] + (bias.map { [$0] } ?? []), order: map.order, batchAxis: map.batchAxis
    ) { inputs, _ in
      let (x, w) = (inputs[0], inputs[1])
      if isDepthwise {
        let y = x.depthwise(w.reshaped([w.shape[0], w.shape[1], w.shape[2]]), window: sliding)
        return hasBias ? y + inputs[2] : y
      }
      let affine =
        hasBias
        ? ChannelAffine(scale: Tensor(repeating: 1, shape: inputs[2].shape), shift: inputs[2]) : nil
      return Tensors.convolution(x, w, window: sliding, groups: groups, affine: affine)
    }
  }

  private static func resampled(
    _ call: AtenCall, _ way: (_ alignsCorners: Bool) -> Interpolation
  ) throws(GraphError) -> [GraphOperand] {
    let map = try call.map(call.firstName)
    let interpolation = way(try call.bool("align_corners", false))
    var scales: (height: Double?, width: Double?) = (nil, nil)
    let (height, width): (Int, Int)
    if case .list(let factors) = try call["scale_factors"], factors.count == 2 {
      var values: [Double] = []
      for factor in factors {
        switch factor {
        case .number(.real(let value)): values.append(value)
        case .number(.int(let value)): values.append(Double(value))
        default: throw GraphError("a scale that is \(factor.title)")
        }
      }
      guard values.allSatisfy({ $0 > 0 && $0 <= 65536 }) else {
        throw GraphError("scales \(values)")
      }
      height = Int((Double(map.dimensions[2]) * values[0]).rounded(.down))
      width = Int((Double(map.dimensions[3]) * values[1]).rounded(.down))
      scales = (values[0], values[1])
    } else {
      (height, width) = try call.outputSize("output_size")
      scales = (try call.optionalReal("scales_h"), try call.optionalReal("scales_w"))
    }
    guard height > 0, width > 0, height <= 1 << 20, width <= 1 << 20 else {
      throw GraphError("\(map.text) resampled to \(height) x \(width)")
    }
    let chosen = scales
    return [
      .value(
        try call.compiler.mapped(map) {
          $0.interpolated(height: height, width: width, interpolation, scale: chosen)
        })
    ]
  }
}

/// A window over a map as a graph gives it, rows before columns.
struct GraphWindow {
  var kernel = (1, 1)
  var stride = (1, 1)
  /// Above, left, below, right.
  var padding = (0, 0, 0, 0)
  var dilation = (1, 1)
  var ceilMode = false

  var text: String {
    "a window of \(kernel), stride \(stride), padding \(padding), dilation \(dilation)"
  }

  /// Padding by name, as a convolution has it.
  mutating func pad(_ way: String) throws(GraphError) {
    switch way {
    case "valid": padding = (0, 0, 0, 0)
    case "same":
      guard stride == (1, 1) else { throw GraphError("padding \"same\" with stride \(stride)") }
      let (rows, columns) = ((kernel.0 - 1) * dilation.0, (kernel.1 - 1) * dilation.1)
      padding = (rows / 2, columns / 2, rows - rows / 2, columns - columns / 2)
    default: throw GraphError("padding \"\(way)\"", expected: "same or valid")
    }
  }

  /// The window as the engine takes it.
  ///
  /// - Throws: ``GraphError`` for a window that finds no place on the map.
  func sliding(_ map: GraphValue, isPool: Bool) throws(GraphError) -> SlidingWindow {
    func failure() -> GraphError {
      GraphError("\(text) over \(map.text)", expected: "one that fits")
    }
    let numbers = [kernel.0, kernel.1, stride.0, stride.1, dilation.0, dilation.1]
    let pads = [padding.0, padding.1, padding.2, padding.3]
    guard numbers.allSatisfy({ $0 > 0 && $0 <= 1 << 16 }),
      pads.allSatisfy({ $0 >= 0 && $0 <= 1 << 16 }),
      !isPool
        || 2 * max(padding.0, padding.2) <= kernel.0 && 2 * max(padding.1, padding.3) <= kernel.1
    else { throw failure() }
    let window = SlidingWindow(
      kernel: (kernel.0, kernel.1), stride: (stride.0, stride.1),
      padding: padding, dilation: (dilation.0, dilation.1), ceilMode: ceilMode)
    guard let extents = window.extents(height: map.dimensions[2], width: map.dimensions[3]),
      extents.height > 0, extents.width > 0
    else { throw failure() }
    return window
  }
}

extension AtenCall {
  /// A map `[N, C, H, W]`, channels last in memory.
  func map(_ name: String) throws(GraphError) -> GraphValue {
    let value = try tensor(name)
    guard value.rank == 4, value.batchAxis.map({ $0 == 0 }) ?? true else {
      throw GraphError("\(operation) of \(value.text)", expected: "a map [N, C, H, W]")
    }
    return try compiler.arranged(value, [0, 2, 3, 1])
  }

  /// A window with the usual names of its numbers.
  func window(kernel: (Int, Int), stride: [Int]) throws(GraphError) -> GraphWindow {
    var window = GraphWindow()
    window.kernel = kernel
    window.stride = try pair("stride", stride)
    window.dilation = try pair("dilation", [1, 1])
    window.padding = try padding()
    return window
  }

  /// What is put above, left, below and right of a map: four numbers, or two for both sides each.
  func padding() throws(GraphError) -> (Int, Int, Int, Int) {
    let told = try ints("padding", [0])
    if told.count == 4 { return (told[0], told[1], told[2], told[3]) }
    let (rows, columns) = try pair("padding", [0, 0])
    return (rows, columns, rows, columns)
  }

  /// Rows and columns of a result.
  func outputSize(_ name: String) throws(GraphError) -> (Int, Int) {
    let (rows, columns) = try pair(name, [])
    guard rows > 0, columns > 0, rows <= 1 << 20, columns <= 1 << 20 else {
      throw GraphError("\(name) of \(rows) x \(columns)", expected: "extents from 1 on")
    }
    return (rows, columns)
  }
}
