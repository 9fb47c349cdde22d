import Tensors

/// Pools and normalisations of maps `[N, C, H, W]`, which lie channels last.
extension AtenOperations {
  static let maps: [String: Entry] = [
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
          try call.compiler.emit(
            [x, scale, shift], order: x.order, batchAxis: x.batchAxis, as: .affine
          ) { inputs, _ in ChannelAffine(scale: inputs[1], shift: inputs[2])(inputs[0])
          })
      ]
    },
    "max_pool1d": maxPooled, "max_pool2d": maxPooled,
    "avg_pool1d": averagePooled, "avg_pool2d": averagePooled,
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
      let map = try call.mapOrRow("self", isRow: true)
      let (_, count) = try call.outputSize("output_size")
      let pooled = try call.compiler.mapped(map.value) { $0.averagePooled(height: 1, width: count) }
      return [try call.operand(pooled, of: map)]
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

  private static let maxPooled: Entry = { call in
    let (map, window) = try pool(call)
    let sliding = try window.sliding(map.value, isPool: true)
    return [
      try call.operand(try call.compiler.mapped(map.value) { $0.maxPooled(sliding) }, of: map)
    ]
  }

  private static let averagePooled: Entry = { call in
    let (map, window) = try pool(call)
    guard window.dilation == (1, 1) else {
      throw GraphError(
        .unrecognised, "means over places \(window.dilation) apart", advice: GraphError.capture)
    }
    let sliding = try window.sliding(map.value, isPool: true)
    var divisor: PoolingDivisor = try call.bool("count_include_pad", true) ? .window : .inside
    if let fixed = try call.optionalInt("divisor_override") {
      guard fixed > 0 else { throw GraphError("a divisor of \(fixed)") }
      divisor = .fixed(fixed)
    }
    let chosen = divisor
    let pooled = try call.compiler.mapped(map.value) {
      $0.averagePooled(sliding, divisor: chosen)
    }
    return [try call.operand(pooled, of: map)]
  }

  private static func pool(_ call: AtenCall) throws(GraphError) -> (AtenMap, GraphWindow) {
    let map = try call.mapOrRow("self", isRow: call.operation.hasSuffix("1d"))
    var kernel = try call.pair("kernel_size", [])
    if map.isRow { kernel.0 = 1 }
    var window = try call.window(kernel: kernel, stride: [kernel.0, kernel.1], isRow: map.isRow)
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
}

extension ChannelAffine {
  /// A bias alone.
  init(bias: Tensor) { self.init(scale: Tensor(repeating: 1, shape: bias.shape), shift: bias) }
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

  /// Padding by name, as a convolution has it: above, left, below, right.
  func padding(_ way: String) throws(GraphError) -> (Int, Int, Int, Int) {
    switch way {
    case "valid": return (0, 0, 0, 0)
    case "same":
      guard stride == (1, 1) else { throw GraphError("padding \"same\" with stride \(stride)") }
      let (rows, columns) = ((kernel.0 - 1) * dilation.0, (kernel.1 - 1) * dilation.1)
      return (rows / 2, columns / 2, rows - rows / 2, columns - columns / 2)
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

/// A map `[N, C, H, W]`, channels last in memory; or rows, as a map of one.
struct AtenMap {
  let value: GraphValue
  let isRow: Bool
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

  /// A map, or rows `[N, C, L]` as a map of one row.
  func mapOrRow(_ name: String, isRow: Bool) throws(GraphError) -> AtenMap {
    guard isRow else { return AtenMap(value: try map(name), isRow: false) }
    let row = try tensor(name)
    guard row.rank == 3, row.batchAxis.map({ $0 == 0 }) ?? true else {
      throw GraphError("\(operation) of \(row.text)", expected: "rows [N, C, L]")
    }
    let map = try compiler.reshaped(
      row, Array(row.dimensions[..<2]) + [1, row.dimensions[2]], batchAxis: row.batchAxis)
    return AtenMap(value: try compiler.arranged(map, [0, 2, 3, 1]), isRow: true)
  }

  /// A result as a map, or as rows again.
  func operand(_ value: GraphValue, of map: AtenMap) throws(GraphError) -> GraphOperand {
    guard map.isRow else { return .value(value) }
    let row = [value.dimensions[0], value.dimensions[1], value.dimensions[3]]
    return .value(try compiler.reshaped(value, row, batchAxis: value.batchAxis))
  }

  /// A window with the usual names of its numbers. Over rows these are those of columns.
  func window(
    kernel: (Int, Int), stride: [Int], isRow: Bool = false
  ) throws(GraphError) -> GraphWindow {
    var window = GraphWindow()
    window.kernel = kernel
    window.stride = try pair("stride", stride)
    window.dilation = try pair("dilation", [1, 1])
    if isRow { (window.stride.0, window.dilation.0) = (1, 1) }
    if case .text(let way) = try self["padding"] {
      window.padding = try window.padding(way)
    } else if isRow {
      let told = try ints("padding", [0])
      guard let first = told.first, let last = told.last else { throw GraphError("no padding") }
      window.padding = (0, first, 0, last)
    } else {
      window.padding = try padding()
    }
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
