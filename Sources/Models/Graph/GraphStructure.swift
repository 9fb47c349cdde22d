import Checkpoints
import Tensors

/// The taps of a compiled graph, their kinds and their places in the standard orderings, all told from its
/// operations and not from names.
struct GraphStructure {
  private let compiler: GraphCompiler
  private let modules: GraphModules
  private let overrides: GraphOverrides
  private let matches: @Sendable (String, String) -> Bool
  private let junctions: [GraphJunction]
  /// The grids of the junctions, largest first: stages.
  private var grids: [[Int]] = []
  private var names: Set<String> = []
  /// What was found, for the reader.
  private(set) var notes: [String] = []

  init(
    _ compiler: GraphCompiler, _ overrides: GraphOverrides,
    matches: @escaping @Sendable (_ pattern: String, _ name: String) -> Bool
  ) {
    (self.compiler, self.overrides, self.matches) = (compiler, overrides, matches)
    modules = GraphModules(compiler.program)
    var flow = compiler.flow
    for step in flow.steps {
      let place = compiler.axes[step.name]?.firstIndex {
        if case .tokens = $0 { true } else { false }
      }
      if let place { flow.tokenAxes[step.name] = place }
    }
    junctions = flow.junctions
    for junction in junctions {
      if let grid = grid(of: flow.steps[junction.add].name), !grids.contains(grid) {
        grids.append(grid)
      }
    }
  }

  private var flow: GraphFlow { compiler.flow }

  // MARK: Taps

  /// Puts all taps on the plan.
  ///
  /// - Throws: ``ModelError`` for a layout that was asked for and that a value cannot have.
  mutating func place(on plan: inout GraphPlan) throws(ModelError) {
    var steps: [Int: Int] = [:]
    for (index, step) in plan.steps.enumerated() { steps[step.output] = index }
    func step(of name: String) -> Int? {
      guard let value = compiler.made[name] else { return nil }
      return steps[value.slot]
    }
    /// Taps by the value they are of; those of one value in the order of offering.
    var taps: [(value: String, tap: Tap)] = []
    func add(
      _ name: String, of value: String, _ kind: Tap.Kind, _ roles: Tap.Roles,
      isStaged: Bool = true
    ) throws(ModelError) {
      taps.append((value, try tap(unique(name), of: value, kind, roles, isStaged: isStaged)))
    }
    let blocks = self.blocks()
    // Of several modules with one value, a block carries the roles, else the outermost.
    var ends = Dictionary(
      modules.outputs.map { ($0.value, $0) }, uniquingKeysWith: { _, last in last })
    for block in blocks { ends[block.value] = block }
    let moduleNames = Set(modules.outputs.map(\.name))
    /// Roles of values that are told by name.
    var roles: [String: Tap.Roles] = [:]
    var kinds: [String: Tap.Kind] = [:]
    var previous: Int?
    var branches: [(name: String, value: String, kind: Tap.Kind)] = []
    var sums: [(name: String, value: String, kind: Tap.Kind, roles: Tap.Roles)] = []
    for junction in junctions {
      let sum = flow.steps[junction.add]
      let module = compiler.program.nodes[sum.node].module
      // Where a branch enters something else than the last sum, that comes before: a stem, a pool.
      let entry = flow.steps[junction.entry]
      if previous == nil {
        let name = junction.kind == .conv ? "stem" : "embed"
        if ends[entry.name] != nil, junction.kind != .conv || moduleNames.contains(name) {
          roles[entry.name, default: []].insert(.sequence)
          kinds[entry.name] = .embed
        } else {
          sums.append((name, entry.name, .embed, .sequence))
        }
      } else if let last = previous, let before = grid(of: flow.steps[last].name),
        let now = grid(of: entry.name), before != now
      {
        roles[entry.name, default: []].insert(.sequence)
        kinds[entry.name] = .pool
      }
      let end = self.end(of: junction.add)
      let isBlock = blocks.contains { $0.value == end || $0.value == sum.name }
      let isPool =
        junction.kind == .conv
        && grid(of: entry.name).map { $0 != (grid(of: sum.name) ?? $0) } ?? false
      if junction.kind == .conv, let owner = ends[end] {
        roles[owner.value, default: []].formUnion(isBlock ? [.sequence, .block] : .sequence)
        kinds[owner.value] = isPool ? .pool : .conv
        branches.append((owner.name + ".branch", junction.branch, .conv))
      } else {
        let prefix = (module.isEmpty ? "" : module + ".") + Self.word(junction.kind)
        branches.append((prefix + "_branch", junction.branch, junction.kind))
        sums.append(
          (prefix + "_res", sum.name, junction.kind, isBlock ? [.sequence, .block] : .sequence))
      }
      previous = self.flow.makers[end] ?? junction.add
    }
    let takenBlocks = Set(sums.filter { $0.roles.contains(.block) }.map(\.value))
    for branch in branches where ends[branch.value]?.value != nil || step(of: branch.value) != nil {
      try add(branch.name, of: branch.value, branch.kind, .branch)
    }
    // Modules have their own names before anything else has.
    let taken = moduleNames
    for sum in sums {
      try add(
        taken.contains(sum.name) ? sum.name + "#sum" : sum.name, of: sum.value, sum.kind, sum.roles)
    }
    for output in modules.outputs {
      let isOwner = ends[output.value]?.name == output.name
      var own = isOwner ? roles[output.value] ?? [] : []
      let isBlock = blocks.contains { $0.name == output.name }
      if isBlock, !takenBlocks.contains(output.value),
        !takenBlocks.contains(where: { same($0, output.value) })
      {
        own.insert(.block)
      }
      try add(
        output.name, of: output.value,
        isOwner ? kinds[output.value] ?? kind(of: output) : kind(of: output),
        own,
        isStaged: !own.isEmpty || blocks.contains { output.name.hasPrefix($0.name + ".") })
    }
    for (value, tap) in taps {
      guard let index = step(of: value), let held = compiler.made[value] else {
        continue
      }
      plan.steps[index].taps.append(try graphTap(tap, held, axes(of: value, tap: tap.name)))
    }
    for index in plan.steps.indices { placeMaps(&plan.steps[index]) }
    cut(&plan, blocks)
    describe(blocks, sums.count + kinds.count)
  }

  private static func word(_ kind: Tap.Kind) -> String {
    switch kind {
    case .msa: "attn"
    case .mlp: "mlp"
    case .mlpToken: "token"
    default: "conv"
    }
  }

  private func same(_ a: String, _ b: String) -> Bool {
    guard let x = flow.makers[a], let y = flow.makers[b] else { return a == b }
    return flow.peeled(x) == flow.peeled(y)
  }

  /// What a sum becomes before anything else reads it: behind an activation, if nothing else comes first.
  private func end(of add: Int) -> String {
    var step = add
    while true {
      let readers = flow.steps[(step + 1)...].prefix(64).enumerated().filter {
        $0.element.inputs.contains(step)
      }
      guard readers.count == 1, let next = readers.first else { break }
      switch next.element.role {
      case .activation where step == add: step += 1 + next.offset
      default: return flow.steps[step].name
      }
    }
    return flow.steps[step].name
  }

  private mutating func unique(_ name: String) -> String {
    var candidate = name
    var count = 1
    while !names.insert(candidate).inserted {
      count += 1
      candidate = "\(name)#\(count)"
    }
    return candidate
  }

  // MARK: Layouts

  private func grid(of name: String) -> [Int]? {
    guard let axes = compiler.axes[name], let value = compiler.made[name] else {
      return nil
    }
    if let rows = axes.firstIndex(of: .rows), let columns = axes.firstIndex(of: .columns) {
      return [value.dimensions[rows], value.dimensions[columns]]
    }
    for case .tokens(let height, let width, _) in axes { return [height, width] }
    return nil
  }

  /// What the axes of a tap's value are: as was said of it, or as they were followed.
  private func axes(of value: String, tap name: String) throws(ModelError) -> [GraphAxis] {
    guard let layout = overrides.layouts.last(where: { matches($0.pattern, name) }),
      let held = compiler.made[value]
    else { return compiler.axes[value] ?? [] }
    guard let axes = layout.axes(of: held, prefix: overrides.prefixTokens ?? 0) else {
      throw ModelError(
        .conflict, place: "layer \"\(name)\"",
        found: "`layouts` \(layout.axes.rawValue) of \(held.text)",
        expected: "a layout of as many axes; of tokens a square grid behind `prefixTokens`")
    }
    return axes
  }

  private func tap(
    _ name: String, of value: String, _ kind: Tap.Kind, _ roles: Tap.Roles, isStaged: Bool
  ) throws(ModelError) -> Tap {
    let kind = overrides.kinds.last { matches($0.pattern, name) }?.kind ?? kind
    let stage = isStaged && grids.count > 1 ? grid(of: value).flatMap(grids.firstIndex) : nil
    let axes = try axes(of: value, tap: name)
    return Tap(name, kind, layout: layout(of: value, axes), stage: stage, roles: roles)
  }

  private func layout(of name: String, _ axes: [GraphAxis]) -> Tap.Layout {
    guard let value = compiler.made[name],
      let images = value.batchAxis, value.dimensions[images] == 1
    else { return .unknown }
    switch Self.ordered(axes) {
    case .map: return .featureMap
    case .tokens(_, let place):
      guard case .tokens(let height, let width, let prefix) = axes[place] else { return .unknown }
      return .tokens(height: height, width: width, prefix: overrides.prefixTokens ?? prefix)
    case .none:
      if value.rank == 2 { return .vector }
      if value.rank == 3, let prefix = overrides.prefixTokens {
        let side = Int(Double(value.dimensions[1] - prefix).squareRoot())
        if side > 0, side * side + prefix == value.dimensions[1] {
          return .tokens(height: side, width: side, prefix: prefix)
        }
      }
      return .unknown
    }
  }

  private enum Order {
    case map([Int])
    case tokens([Int], place: Int)
    case none
  }

  /// The axes of a map or of tokens with images first and channels last.
  private static func ordered(_ axes: [GraphAxis]) -> Order {
    guard let images = axes.firstIndex(of: .images), let channels = axes.firstIndex(of: .channels)
    else { return .none }
    if axes.count == 4, let rows = axes.firstIndex(of: .rows),
      let columns = axes.firstIndex(of: .columns)
    {
      return .map([images, rows, columns, channels])
    }
    if axes.count == 3 {
      for (place, axis) in axes.enumerated() {
        if case .tokens = axis { return .tokens([images, place, channels], place: place) }
      }
    }
    return .none
  }

  /// A tap with how its value is put in order.
  private func graphTap(_ tap: Tap, _ value: GraphValue, _ axes: [GraphAxis]) -> GraphTap {
    var order: [Int]
    switch Self.ordered(axes) {
    case .map(let own): order = own
    case .tokens(let own, _): order = own
    case .none:
      let images = value.batchAxis ?? 0
      order = [images] + (0..<value.rank).filter { $0 != images }
    }
    let places = order.map { axis in value.order.firstIndex(of: axis) ?? 0 }
    let images = value.batchAxis ?? 0
    var extents = order.map { value.dimensions[$0] }
    if value.dimensions[images] != 1 { extents.insert(1, at: 0) }
    return GraphTap(
      tap: tap, permutation: places == Array(places.indices) ? nil : places,
      extents: GraphExtents(dimensions: extents, batchPlace: 0))
  }

  /// The tap of the attention maps within a step.
  private mutating func placeMaps(_ step: inout GraphStep) {
    let node = compiler.program.nodes[step.node]
    if let maps = step.maps {
      let name = unique((node.module.isEmpty ? "" : node.module + ".") + "attn_map")
      var extents = maps.dimensions
      let images = maps.batchAxis ?? 0
      guard images == 0 else { return }
      if extents[0] != 1 { extents.insert(1, at: 0) }
      let tap = Tap(
        name, .attentionMap, layout: attention(node, extents), stage: nil)
      step.mapTap = GraphTap(
        tap: tap, permutation: nil, extents: GraphExtents(dimensions: extents, batchPlace: 0))
      return
    }
    guard case .tensor(let made)? = node.outputs.first, let maker = flow.makers[made],
      case .softmax = flow.steps[maker].role, let value = compiler.made[made],
      value.slot == step.output, value.rank >= 3, value.batchAxis == 0
    else { return }
    let name = unique((node.module.isEmpty ? "" : node.module + ".") + "attn_map")
    var extents = value.dimensions
    if extents[0] != 1 { extents.insert(1, at: 0) }
    let tap = Tap(name, .attentionMap, layout: attention(node, extents), stage: nil)
    let places = (0..<value.rank).map { axis in value.order.firstIndex(of: axis) ?? 0 }
    step.taps.insert(
      GraphTap(
        tap: tap, permutation: value.isInOrder ? nil : places,
        extents: GraphExtents(dimensions: extents, batchPlace: 0)), at: 0)
  }

  /// The grid that queries and keys of maps lie on.
  private func attention(_ node: ExportedProgramNode, _ extents: [Int]) -> Tap.Layout {
    let (queries, keys) = (extents[extents.count - 2], extents[extents.count - 1])
    guard queries == keys, extents.count == 4 || extents.count == 5 else { return .unknown }
    for argument in node.arguments {
      guard case .tensor(let name) = argument.value, let axes = compiler.axes[name] else {
        continue
      }
      for case .tokens(let height, let width, let prefix) in axes
      where height * width + prefix == queries {
        return .attention(height: height, width: width, prefix: prefix)
      }
    }
    return .unknown
  }

  // MARK: Kinds

  /// The kind of a module by the operations in it.
  private func kind(of output: GraphModules.Output) -> Tap.Kind {
    var (convolutions, products, attention, norms, pools) = (0, 0, false, 0, 0)
    var last: GraphJunction?
    for (index, step) in flow.steps.enumerated() {
      guard compiler.program.nodes[step.node].modules.contains(output.call) else { continue }
      if let junction = junctions.first(where: { $0.add == index }) { last = junction }
      switch step.role {
      case .attention, .softmax: attention = true
      case .convolution(true): convolutions += 1
      case .convolution(false), .linear: products += 1
      case .norm: norms += 1
      case .pool: pools += 1
      default: break
      }
    }
    if let last { return last.kind }
    if attention { return .msa }
    if let first = junctions.first, let maker = flow.makers[output.value], maker <= first.entry,
      convolutions > 0
    {
      return .embed
    }
    if convolutions > 0 { return .conv }
    if products > 1 { return .mlp }
    if products == 1 { return .other }
    if norms > 0 { return .norm }
    if pools > 0 { return .pool }
    return .other
  }

  // MARK: Blocks

  /// The modules that are blocks, in order, each with its value.
  private func blocks() -> [GraphModules.Output] {
    if !overrides.blocks.isEmpty {
      return modules.outputs.filter { output in
        overrides.blocks.contains { matches($0, output.name) }
      }
    }
    func pattern(_ name: String) -> String {
      var result = ""
      for character in name {
        if character.isNumber {
          if result.last != "#" { result.append("#") }
        } else {
          result.append(character)
        }
      }
      return result
    }
    // The innermost module of a list that holds each junction, and those like it.
    var found: Set<String> = []
    var types: Set<String> = []
    for junction in junctions {
      let stack = compiler.program.nodes[flow.steps[junction.add].node].modules
      if let block = stack.last(where: { $0.module.last?.isNumber ?? false }) {
        found.insert(pattern(block.module))
        types.insert(block.type)
      }
    }
    if junctions.isEmpty {
      // Without junctions: the outermost classes of the model's own that come several times.
      let own = modules.outputs.filter { !$0.call.type.hasPrefix("torch.nn.") }
      let counts = Dictionary(grouping: own, by: \.call.type).filter { $0.value.count > 1 }
      let repeated = own.filter { counts[$0.call.type] != nil }
      let outer = repeated.filter { one in
        !repeated.contains { one.call.module.hasPrefix($0.call.module + ".") }
      }
      return outer
    }
    let blocks = modules.outputs.filter {
      found.contains(pattern($0.call.module)) && types.contains($0.call.type)
    }
    return blocks.filter { one in
      !blocks.contains { one.call.module.hasPrefix($0.call.module + ".") }
    }
  }

  /// Cuts the steps where blocks begin and end.
  private func cut(_ plan: inout GraphPlan, _ blocks: [GraphModules.Output]) {
    guard let first = blocks.first else { return }
    func nodes(_ step: GraphStep) -> [ExportedProgram.ModuleCall] {
      compiler.program.nodes[step.node].modules
    }
    guard let start = plan.steps.firstIndex(where: { nodes($0).contains(first.call) }) else {
      return
    }
    var ends = [start]
    for block in blocks {
      guard let last = plan.steps.lastIndex(where: { nodes($0).contains(block.call) }) else {
        return
      }
      // Blocks that run side by side are none to be cut at.
      guard last + 1 > (ends.last ?? 0) else { return }
      ends.append(last + 1)
    }
    plan.blockEnds = ends
  }

  private mutating func describe(_ blocks: [GraphModules.Output], _ entries: Int) {
    let kinds = Dictionary(grouping: junctions, by: \.kind)
      .map { "\($0.value.count) \($0.key.rawValue)" }.sorted()
    notes.append(
      "told from the graph: \(junctions.count) residual junctions"
        + (kinds.isEmpty ? "" : " (\(kinds.joined(separator: ", ")))")
        + ", \(blocks.count) blocks"
        + (blocks.first.map { ", the first \($0.name)" } ?? "; name them by patterns: `blocks`"))
    if !modules.silent.isEmpty {
      notes.append(
        "modules without a tap, since they give several tensors or none that is read: "
          + modules.silent.prefix(4).joined(separator: ", ")
          + (modules.silent.count > 4 ? ", …" : ""))
    }
  }
}
