import Tensors

/// Values of maps `[N, C, H, W]` at other places.
extension AtenOperations {
  static let sampling: [String: Entry] = [
    "upsample_nearest2d": { call in try resampled(call) { _ in .nearest } },
    "_upsample_nearest_exact2d": { call in try resampled(call) { _ in .nearestExact } },
    "upsample_bilinear2d": { call in try resampled(call) { .linear(alignsCorners: $0) } },
    "upsample_bicubic2d": { call in try resampled(call) { .cubic(alignsCorners: $0) } },
    "_upsample_bilinear2d_aa": { call in try smoothed(call, .antialiasedLinear) },
    "_upsample_bicubic2d_aa": { call in try smoothed(call, .antialiasedCubic) },
    "grid_sampler": { call in
      let compiler = call.compiler
      var (map, grid) = (try call.map("input"), try call.tensor("grid"))
      if map.batchAxis == 0 || grid.batchAxis == 0 {
        map = try compiler.repeatedForImages(map, axis: 0)
        grid = try compiler.repeatedForImages(grid, axis: 0)
      }
      guard grid.rank == 4, grid.dimensions[3] == 2, grid.dimensions[0] == map.dimensions[0],
        grid.batchAxis == map.batchAxis, map.count <= 1 << 31
      else { throw GraphError("\(map.text) sampled at \(grid.text)", expected: "[N, h, w, 2]") }
      let ways: [GridInterpolation] = [.linear, .nearest, .cubic]
      let borders: [GridBorder] = [.zeros, .border, .reflection]
      let (way, border) = (
        try call.int("interpolation_mode", 0), try call.int("padding_mode", 0)
      )
      guard ways.indices.contains(way), borders.indices.contains(border) else {
        throw GraphError("a way \(way) of sampling with borders \(border)", expected: "0 to 2")
      }
      let isAligned = try call.bool("align_corners", false)
      return [
        .value(
          try compiler.emit(
            [map, try compiler.inOrder(grid)], order: map.order, batchAxis: map.batchAxis
          ) { inputs, _ in
            inputs[0].sampled(
              at: inputs[1], ways[way], border: borders[border], alignsCorners: isAligned)
          })
      ]
    },
  ]

  private static func smoothed(
    _ call: AtenCall, _ way: Interpolation
  ) throws(GraphError) -> [GraphOperand] {
    guard try !call.bool("align_corners", false) else {
      throw GraphError("antialiased resampling with aligned corners")
    }
    return try resampled(call) { _ in way }
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
