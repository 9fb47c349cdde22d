import Checkpoints

/// What an axis of a value is: followed from the convolutions, whose axes are known, through everything else.
enum GraphAxis: Equatable {
  case images, channels, rows, columns
  /// Places of a grid in row-major order behind others.
  case tokens(height: Int, width: Int, prefix: Int)
  case other

  /// What axes together become when they are joined.
  static func joined(_ axes: [(axis: GraphAxis, extent: Int)]) -> GraphAxis {
    let kinds = axes.map(\.axis)
    if kinds.contains(.images) { return .images }
    if kinds.count == 2, kinds == [.rows, .columns] {
      return .tokens(height: axes[0].extent, width: axes[1].extent, prefix: 0)
    }
    if kinds.last == .channels, kinds.allSatisfy({ $0 == .channels || $0 == .other }) {
      return .channels
    }
    for kind in [GraphAxis.rows, .columns]
    where kinds.contains(kind) && kinds.allSatisfy({ $0 == kind || $0 == .other }) { return kind }
    return kinds.count == 1 ? kinds[0] : .other
  }

  /// What an axis becomes when it is cut.
  func cut(into extents: [Int]) -> [GraphAxis] {
    switch self {
    case .images: [.images] + [GraphAxis](repeating: .other, count: extents.count - 1)
    case .channels: [GraphAxis](repeating: .other, count: extents.count - 1) + [.channels]
    case .rows, .columns: [GraphAxis](repeating: self, count: extents.count)
    case .tokens(let height, let width, 0) where extents == [height, width]: [.rows, .columns]
    case .tokens, .other: [GraphAxis](repeating: .other, count: extents.count)
    }
  }

  /// The axes of a value under other extents.
  static func reshaped(
    _ axes: [GraphAxis], _ value: GraphValue, to dimensions: [Int], batchAxis: Int?
  ) -> [GraphAxis] {
    var result = [GraphAxis](repeating: .other, count: dimensions.count)
    guard let groups = ReshapeGroups(value, dimensions, batchAxis: batchAxis) else { return result }
    for (source, target) in groups.pairs {
      if target.count == 1 {
        result[target[0]] = joined(source.map { (axes[$0], value.dimensions[$0]) })
      } else if source.count == 1 {
        for (place, axis) in zip(target, axes[source[0]].cut(into: target.map { dimensions[$0] })) {
          result[place] = axis
        }
      }
    }
    if let batchAxis { result[batchAxis] = .images }
    return result
  }
}

/// The axes of every value of a graph.
struct GraphAxes {
  private(set) var axes: [String: [GraphAxis]] = [:]

  subscript(_ name: String) -> [GraphAxis]? {
    get { axes[name] }
    set { axes[name] = newValue }
  }

  /// Operations whose result is a map `[N, C, H, W]`.
  private static let maps: Set<String> = [
    "conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d",
    "adaptive_max_pool2d", "upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d",
    "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "grid_sampler",
    "col2im", "pixel_shuffle", "pixel_unshuffle",
  ]

  /// Notes the axes of what an operation made.
  mutating func note(
    _ node: ExportedProgramNode, _ operands: [String: GraphOperand]
  ) {
    var names: [String] = []
    for output in node.outputs {
      switch output {
      case .tensor(let name): names.append(name)
      case .list(let items): for case .tensor(let name) in items { names.append(name) }
      default: break
      }
    }
    for name in names {
      guard case .value(let value)? = operands[name], value.isDependent else { continue }
      var found = derived(node, value, operands)
      if let images = value.batchAxis { found[images] = .images }
      axes[name] = found
    }
  }

  private func derived(
    _ node: ExportedProgramNode, _ value: GraphValue, _ operands: [String: GraphOperand]
  ) -> [GraphAxis] {
    let operation = AtenCall.base(of: node.target).name
    let unknown = [GraphAxis](repeating: .other, count: value.rank)
    if Self.maps.contains(operation), value.rank == 4 {
      return [.images, .channels, .rows, .columns]
    }
    // What depends on the images, with the axes it has.
    var inputs: [(axes: [GraphAxis], value: GraphValue)] = []
    for argument in node.arguments {
      var names: [String] = []
      switch argument.value {
      case .tensor(let name): names = [name]
      case .list(let items): for case .tensor(let name) in items { names.append(name) }
      default: break
      }
      for name in names {
        guard case .value(let input)? = operands[name], let own = axes[name] else { continue }
        inputs.append((own, input))
      }
    }
    guard let first = inputs.first else { return unknown }
    switch operation {
    case "permute", "transpose", "t":
      // The same slot in another order.
      return permuted(node, first.axes) ?? unknown
    case "matmul", "mm", "bmm":
      if inputs.count == 1, first.axes.count == value.rank,
        case .tensor(let name)? = node.arguments.first?.value, operands[name]?.isDependent ?? false
      {
        return Array(first.axes.dropLast()) + [.channels]
      }
      guard inputs.count == 2, first.axes.count == value.rank, inputs[1].axes.count == value.rank
      else { break }
      return Array(first.axes.dropLast()) + [inputs[1].axes[value.rank - 1]]
    case "scaled_dot_product_attention":
      guard inputs.count == 3, first.axes.count == value.rank else { break }
      return Array(first.axes.dropLast()) + [inputs[2].axes[value.rank - 1]]
    case "cat": return joined(inputs, value) ?? unknown
    case "slice", "narrow", "split", "split_with_sizes", "chunk":
      return cut(node, first, value) ?? unknown
    case "select", "unbind":
      guard let axis = removedAxis(node, first.value) else { return unknown }
      var rest = first.axes
      rest.remove(at: axis)
      return rest
    case "linear":
      guard first.axes.count == value.rank else { break }
      return Array(first.axes.dropLast()) + [.channels]
    case "view", "reshape", "flatten", "unflatten", "unsqueeze", "squeeze", "reshape_as", "view_as",
      "mean", "amax", "_unsafe_view":
      if value.count == first.value.count {
        return GraphAxis.reshaped(
          first.axes, first.value, to: value.dimensions, batchAxis: value.batchAxis)
      }
      // Axes of a mean are gone or of extent 1.
      if value.rank == first.value.rank { return first.axes }
      let kept = (0..<first.value.rank).filter { axis in
        !Self.axes(node, first.value.rank).contains(axis)
      }
      return kept.count == value.rank ? kept.map { first.axes[$0] } : unknown
    default: break
    }
    // One value for each: the axes of the input that says most.
    let alike = inputs.filter { $0.value.dimensions == value.dimensions }
    let best = (alike.isEmpty ? inputs.filter { $0.axes.count == value.rank } : alike)
      .max { $0.axes.count { $0 != .other } < $1.axes.count { $0 != .other } }
    return best?.axes ?? unknown
  }

  private static func ints(_ node: ExportedProgramNode, _ name: String) -> [Int] {
    switch node.arguments.first(where: { $0.name == name })?.value {
    case .int(let value): [value]
    case .list(let items): items.compactMap { if case .int(let value) = $0 { value } else { nil } }
    default: []
    }
  }

  private static func axes(_ node: ExportedProgramNode, _ rank: Int) -> [Int] {
    ints(node, "dim").map { $0 < 0 ? $0 + rank : $0 }
  }

  private func permuted(_ node: ExportedProgramNode, _ axes: [GraphAxis]) -> [GraphAxis]? {
    let rank = axes.count
    func place(_ index: Int) -> Int { index < 0 ? index + rank : index }
    if AtenCall.base(of: node.target).name == "permute" {
      return Self.ints(node, "dims").map { axes[place($0)] }
    }
    guard let a = Self.ints(node, "dim0").first, let b = Self.ints(node, "dim1").first else {
      return axes.reversed()
    }
    var result = axes
    result.swapAt(place(a), place(b))
    return result
  }

  private func removedAxis(_ node: ExportedProgramNode, _ value: GraphValue) -> Int? {
    value.axis(Self.ints(node, "dim").first ?? 0)
  }

  /// Tokens with others before them.
  private func joined(
    _ inputs: [(axes: [GraphAxis], value: GraphValue)], _ value: GraphValue
  ) -> [GraphAxis]? {
    guard
      let grid = inputs.first(where: { input in
        input.axes.contains { if case .tokens = $0 { true } else { false } }
      }) ?? inputs.first, grid.axes.count == value.rank
    else { return nil }
    var result = grid.axes
    for axis in 0..<value.rank where value.dimensions[axis] != grid.value.dimensions[axis] {
      guard case .tokens(let height, let width, let prefix) = grid.axes[axis] else { continue }
      let more = value.dimensions[axis] - grid.value.dimensions[axis]
      result[axis] = .tokens(height: height, width: width, prefix: prefix + more)
    }
    return result
  }

  /// A part of an axis: tokens without some of those before the grid are still tokens.
  private func cut(
    _ node: ExportedProgramNode, _ input: (axes: [GraphAxis], value: GraphValue),
    _ value: GraphValue
  ) -> [GraphAxis]? {
    guard input.axes.count == value.rank else { return nil }
    var result = input.axes
    for axis in 0..<value.rank where value.dimensions[axis] != input.value.dimensions[axis] {
      guard case .tokens(let height, let width, let prefix) = input.axes[axis] else { continue }
      let gone = input.value.dimensions[axis] - value.dimensions[axis]
      let start = Self.ints(node, "start").first ?? 0
      result[axis] =
        start == gone && gone <= prefix
        ? .tokens(height: height, width: width, prefix: prefix - gone) : .other
    }
    return result
  }
}
