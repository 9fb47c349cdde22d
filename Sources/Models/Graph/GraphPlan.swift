import Tensors

/// What the steps of one pass know besides their inputs.
struct GraphPass {
  /// How many images go through.
  let images: Int
  /// Gets attention maps from within a step; nil where nobody looks.
  var maps: InnerTap?
}

/// One step of a compiled graph.
struct GraphStep: Sendable {
  /// Computes a tensor from the inputs.
  typealias Run = @Sendable (_ inputs: [Tensor], _ pass: GraphPass) -> Tensor

  /// The slots it reads.
  let inputs: [Int]
  /// The slot it fills.
  let output: Int
  let run: Run
  /// Which operation of the graph it came from.
  let node: Int
  /// Slots that nothing reads any more after it.
  var releases: [Int] = []
  /// Taps of the value it makes, inner modules first.
  var taps: [GraphTap] = []
  /// The attention maps that exist within it alone.
  var maps: GraphMaps?
  /// The tap of these.
  var mapTap: GraphTap?
}

/// Attention maps within a step: their extents of one image, `[N, heads, T, S]` or with more before.
struct GraphMaps: Sendable {
  /// The operation.
  let node: Int
  let dimensions: [Int]
  let batchAxis: Int?
}

/// A tap with how its value is laid out from that of a slot.
struct GraphTap: Sendable {
  let tap: Tap
  /// How the places of the value in memory are put in order, and under which extents; nil where they are.
  var permutation: [Int]?
  /// The extents of the tap, of one image.
  var extents: GraphExtents

  /// Offers a value; returns what to go on with.
  func offer(_ value: Tensor, _ images: Int, _ context: Context) -> Tensor {
    guard context.wants(tap) else { return value }
    let ordered = permutation.map(value.permuted) ?? value
    let shown = ordered.reshaped(Shape(extents(images)))
    let seen = context.tap(tap, shown)
    let back = seen.reshaped(ordered.shape)
    guard let permutation else { return back }
    var inverse = permutation
    for (place, axis) in permutation.enumerated() { inverse[axis] = place }
    return back.permuted(inverse)
  }
}

/// The steps of a graph, in order, with what is known of their values.
struct GraphPlan: Sendable {
  /// Steps that read parameters and constants alone: carried out once, when the network is built.
  var preparation: [GraphStep] = []
  /// Steps that depend on the images.
  var steps: [GraphStep] = []
  /// How many slots there are; slot 0 holds the images.
  var slots = 1
  /// Values that no parameter has a part in.
  var constants: [(slot: Int, tensor: Tensor)] = []
  /// Parameters and buffers, each with its slot.
  var parameters: [(slot: Int, specification: ParameterSpecification)] = []
  /// The slot of the output, and how it is put in order.
  var output = GraphTap(
    tap: Tap("logits", .other, layout: .vector),
    extents: GraphExtents(dimensions: [], batchPlace: nil))
  var outputSlot = 0
  /// Where each block ends: the number of steps up to there.
  var blockEnds: [Int] = []

  /// Notes after which step each slot is read for the last time. Slots filled in the preparation stay.
  mutating func noteReleases() {
    let own = Set(steps.map(\.output))
    var last: [Int: Int] = [:]
    for (index, step) in steps.enumerated() {
      for slot in step.inputs + [step.output] where own.contains(slot) { last[slot] = index }
    }
    for index in steps.indices { steps[index].releases = [] }
    for (slot, index) in last where slot != outputSlot { steps[index].releases.append(slot) }
  }
}
