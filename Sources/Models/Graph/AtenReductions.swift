import Tensors

/// Sums, means and the like over axes.
extension AtenOperations {
  static let reductions: [String: Entry] = [
    "mean": { call in try reduced(call) { $0.mean(axes: $1, keepingAxes: true) } },
    "sum": { call in
      if let array = try call.compiler.known(try call["self"]) {
        return [
          .known(
            try array.summed(try call.axes(of: array.rank), keeps: try call.bool("keepdim", false)))
        ]
      }
      return try reduced(call) { $0.sum(axes: $1, keepingAxes: true) }
    },
    "any": known { isFirst, a, b in (isFirst ? 0 : a) != 0 || b != 0 ? 1 : 0 },
    "all": known { isFirst, a, b in (isFirst ? 1 : a) != 0 && b != 0 ? 1 : 0 },
    "amax": { call in try reduced(call) { $0.maximum(axes: $1, keepingAxes: true) } },
    "amin": { call in
      try reduced(call) { -1 * (-1 * $0).maximum(axes: $1, keepingAxes: true) }
    },
    "max": { call in
      let values = try reduced(call) { $0.maximum(axes: $1, keepingAxes: true) }
      return call.overload == "dim" ? values + [.other("the places of the largest values")] : values
    },
    "min": { call in
      let values = try reduced(call) { -1 * (-1 * $0).maximum(axes: $1, keepingAxes: true) }
      return call.overload == "dim"
        ? values + [.other("the places of the smallest values")] : values
    },
    "logsumexp": { call in
      try reduced(call) { x, axes in
        let largest = x.maximum(axes: axes, keepingAxes: true).detached()
        return (x - largest).exp().sum(axes: axes, keepingAxes: true).log() + largest
      }
    },
    "var": { call in
      let correction = try variance(call)
      return try reduced(call) { $0.variance(axes: $1, keepingAxes: true, correction: correction) }
    },
    "std": { call in
      let correction = try variance(call)
      return try reduced(call) {
        $0.variance(axes: $1, keepingAxes: true, correction: correction).sqrt()
      }
    },
    "var_mean": { call in
      let correction = try variance(call)
      return try reduced(call) { $0.variance(axes: $1, keepingAxes: true, correction: correction) }
        + (try reduced(call) { $0.mean(axes: $1, keepingAxes: true) })
    },
    "linalg_vector_norm": { call in try norm(call, try call.real("ord", 2)) },
    "norm": { call in try norm(call, try call.real("p", 2)) },
    "cumsum": { call in
      let (operand, rank) = try call.tensorLike("self")
      let axis = try call.axis(of: rank)
      if case .known(let array) = operand {
        let kind: HostArray.Kind
        if case .kind(let told?) = try call["dtype"] {
          kind = told
        } else {
          kind = array.kind == .bool ? .integer : array.kind
        }
        return [.known(array.cumulated(axis, kind))]
      }
      let value = try call.compiler.value(operand)
      try call.requireNotImages(value, axis)
      let place = value.order.firstIndex(of: axis) ?? 0
      return [.value(try call.compiler.mapped(value) { $0.cumulativeSum(axis: place) })]
    },
  ]

  private static func norm(_ call: AtenCall, _ order: Double) throws(GraphError) -> [GraphOperand] {
    switch order {
    case 1: return try reduced(call) { $0.abs().sum(axes: $1, keepingAxes: true) }
    case 2: return try reduced(call) { $0.norm(axes: $1, keepingAxes: true) }
    case .infinity: return try reduced(call) { $0.abs().maximum(axes: $1, keepingAxes: true) }
    default: throw GraphError("a norm of order \(order)", expected: "1, 2 or infinity")
    }
  }

  /// What is left out of the divisor of a variance.
  private static func variance(_ call: AtenCall) throws(GraphError) -> Float {
    if case .bool(let isUnbiased) = try call["unbiased"] { return isUnbiased ? 1 : 0 }
    return Float(try call.real("correction", 1))
  }

  /// A reduction of truth values, which have to be known.
  private static func known(
    _ combine: @escaping @Sendable (_ isFirst: Bool, Double, Double) -> Double
  ) -> Entry {
    { call throws(GraphError) in
      guard let array = try call.compiler.known(try call["self"]) else {
        throw GraphError(
          .unrecognised, "\(call.operation) of values that depend on images or parameters",
          advice: GraphError.capture)
      }
      let axes = try call.axes(of: array.rank)
      let result = try array.folded(
        axes, keeps: try call.bool("keepdim", false), by: 1, combine)
      return [.known(result.converted(to: .bool))]
    }
  }

  /// A reduction that leaves the axes with extent 1; they go unless they are to be kept.
  private static func reduced(
    _ call: AtenCall, _ reduce: @escaping @Sendable (Tensor, [Int]) -> Tensor
  ) throws(GraphError) -> [GraphOperand] {
    let value = try call.tensor("self")
    let axes = try call.axes(of: value.rank)
    if let images = value.batchAxis {
      guard !axes.contains(images) else {
        throw GraphError(
          "\(call.operation) of \(value.text) over its images", expected: "images that stay apart")
      }
    }
    let places = axes.map { axis in value.order.firstIndex(of: axis) ?? 0 }
    let kept = try call.compiler.mapped(value) { reduce($0, places) }
    if try call.bool("keepdim", false) { return [.value(kept)] }
    let rest = (0..<value.rank).filter { !axes.contains($0) }
    return [
      .value(
        try call.compiler.reshaped(
          kept, rest.map { kept.dimensions[$0] }, batchAxis: kept.batchAxis.flatMap(rest.firstIndex)
        ))
    ]
  }
}

extension HostArray {
  func summed(_ axes: [Int], keeps: Bool) throws(GraphError) -> HostArray {
    try folded(axes, keeps: keeps, by: 1) { _, sum, value in sum + value }
  }

  /// The values along axes combined one after the other, and divided in the end.
  ///
  /// - Parameter combine: the result so far (0 at the first) with the next value.
  func folded(
    _ axes: [Int], keeps: Bool, by divisor: Double,
    _ combine: (_ isFirst: Bool, Double, Double) -> Double
  ) throws(GraphError) -> HostArray {
    var target = shape
    for axis in axes { target[axis] = 1 }
    let count = target.reduce(1, *)
    var (results, isFirst) = (
      [Double](repeating: 0, count: count), [Bool](repeating: true, count: count)
    )
    for (index, value) in values.enumerated() {
      var (rest, place, step) = (index, 0, 1)
      for axis in shape.indices.reversed() {
        let own = rest % shape[axis]
        rest /= shape[axis]
        if target[axis] > 1 { place += own * step }
        step *= target[axis]
      }
      results[place] = combine(isFirst[place], results[place], value)
      isFirst[place] = false
    }
    let kind = kind == .bool ? .integer : self.kind
    let kept = HostArray(kind, target, results.map { kind.rounded($0 / divisor) })
    if keeps { return kept }
    return kept.reshaped(shape.indices.filter { !axes.contains($0) }.map { shape[$0] })
  }

  func cumulated(_ axis: Int, _ kind: Kind) -> HostArray {
    var values = values
    let inner = shape[(axis + 1)...].reduce(1, *)
    for index in values.indices where index / inner % shape[axis] > 0 {
      values[index] = kind.rounded(values[index] + values[index - inner])
    }
    return HostArray(kind, shape, values)
  }
}
