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
  /// What it computes, as far as steps are joined by it.
  var kind = Kind.other
  /// The extents of what it makes, in memory.
  let extents: GraphExtents
  /// Whether all of one image lies together, image behind image, in what it reads and makes.
  let keepsImagesApart: Bool
  /// Slots that nothing reads any more after it.
  var releases: [Int] = []
  /// Taps of the value it makes, inner modules first.
  var taps: [GraphTap] = []
  /// The attention maps that exist within it alone.
  var maps: GraphMaps?
  /// The tap of these.
  var mapTap: GraphTap?

  /// What a step computes, as far as ``GraphFuser`` joins it with others. Inputs are in the order that is given.
  enum Kind: Sendable {
    /// The same values under other extents.
    case view
    /// Values of the one input put elsewhere, and zeros.
    case movement(GraphMovement)
    /// A map, weights `[out, kh, kw, in / groups]` and perhaps a bias.
    case convolution(SlidingWindow, groups: Int)
    /// Values, a scale and a shift of their last axis.
    case affine
    case activation(Activation)
    /// Rows, weights `[out, in]` and perhaps a bias.
    case linear
    /// Rows, gamma and beta.
    case norm(epsilon: Float)
    /// Queries, keys and values `[N, T, heads, width]`, and perhaps a bias `[windows, heads, T, S]`.
    case attention(scale: Float)
    /// The product of two stacks of matrices.
    case product
    /// Over the last axis in memory.
    case softmax
    case scale(Float)
    /// The sum of two tensors.
    case sum
    /// Two tensors multiplied value by value.
    case gain
    case other
  }
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
  /// Steps that are carried out as one where nobody looks between them.
  var fusions: [GraphFusion] = []

  /// Notes after which step each slot is read for the last time. Slots filled in the preparation stay.
  mutating func noteReleases() {
    let own = Set(steps.map(\.output))
    var last: [Int: Int] = [:]
    for (index, step) in steps.enumerated() {
      for slot in step.inputs + [step.output] where own.contains(slot) { last[slot] = index }
    }
    // What a fusion reads is there up to its end.
    for fusion in fusions {
      for slot in fusion.inputs where own.contains(slot) {
        last[slot] = max(last[slot] ?? 0, fusion.end)
      }
    }
    for index in steps.indices { steps[index].releases = [] }
    for (slot, index) in last where slot != outputSlot { steps[index].releases.append(slot) }
  }
}
