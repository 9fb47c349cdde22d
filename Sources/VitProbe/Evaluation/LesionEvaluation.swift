import Diagnostics
import Models
import Tensors

/// Runs networks without one of their residual branches or attention heads.
public struct LesionEvaluation: VariantEvaluation {
  /// The lesions.
  public let study: LesionStudy
  /// Models without heads or blocks.
  public let notes: [String]
  private let networks: [any Network]
  /// The block of each lesion of each model; nil where the network has none.
  private let blocks: [[Int?]]
  /// Bytes of the largest residual stream of each model for an image.
  private let streamBytes: [Int]

  /// Finds the residual branches of models.
  ///
  /// - Parameters:
  ///   - replacement: what is put in the place of a branch.
  ///   - heads: whether attention heads are removed one by one as well.
  ///   - layers: globs on the names of lesions, `blocks.3.attn_branch` and `blocks.3.attn_branch#2`.
  /// - Throws: ``VitProbeError`` for a model without residual branches, `--heads` where no model has heads,
  ///   and globs that match nothing.
  public init(
    _ subjects: [ModelSubject], by replacement: LesionStudy.Replacement, heads: Bool = false,
    layers: [String] = []
  ) throws(VitProbeError) {
    var found: [[(lesion: LesionStudy.Lesion, block: Int?)]] = []
    var streams: [Int] = []
    for subject in subjects {
      let summary: ModelSummary
      do { summary = try ModelSummary(subject.network) } catch { throw VitProbeError(error) }
      let own = Self.lesions(of: summary, heads: heads)
      guard !own.isEmpty else {
        throw VitProbeError(
          .badData, "\(subject.label) has no residual branches, which are what lesion removes")
      }
      found.append(own)
      streams.append(4 * (summary.taps(.branch).map(\.shape.count).max() ?? 0))
    }
    streamBytes = streams
    let headless = zip(subjects, found).filter { !$1.contains { $0.lesion.head != nil } }
    if heads, headless.count == subjects.count {
      throw VitProbeError(
        .usage, "`heads`: \(subjects.map(\.label).joined(separator: ", ")) has no attention heads")
    }
    let selection = NameSelection(layers)
    let names = found.joined().map(\.lesion.name)
    if let glob = selection.firstUnmatched(in: names) {
      throw VitProbeError(
        .usage,
        "`layers` \"\(glob)\" matches no residual branch\(heads ? " and no head" : ""); there are "
          + names.prefix(4).joined(separator: ", ") + ", … (vitprobe models NAME lists them)"
          + (heads ? "" : "; heads are there with `heads`")
          + NameSelection.question(glob, among: names))
    }
    let chosen = found.map { $0.filter { selection.includes($0.lesion.name) } }
    if let empty = zip(subjects, chosen).first(where: { $1.isEmpty }) {
      throw VitProbeError(
        .usage,
        "no residual branch of \(empty.0.label) is left (layers: "
          + layers.joined(separator: " ") + ")")
    }
    study = LesionStudy(chosen.map { $0.map(\.lesion) }, by: replacement)
    blocks = chosen.map { $0.map(\.block) }
    networks = subjects.map(\.network)
    notes =
      (heads ? headless.map { "\($0.0.label) has no attention heads" } : [])
      + zip(subjects, chosen).filter { $1.contains { $0.block == nil } }.map {
        "\($0.0.label) has no blocks to go on from: each lesion costs a whole pass"
      }
  }

  /// Every branch, each followed by its heads.
  private static func lesions(
    of summary: ModelSummary, heads: Bool
  ) -> [(lesion: LesionStudy.Lesion, block: Int?)] {
    let branches = zip(summary.taps, LayerPosition.all(of: summary.taps.map(\.tap)))
      .filter { $0.0.tap.roles.contains(.branch) }
    return branches.enumerated().flatMap { index, found in
      let (branch, position) = found
      func lesion(_ head: Int?, _ target: Tap) -> (LesionStudy.Lesion, Int?) {
        let lesion = LesionStudy.Lesion(
          index: index, position: position, branch: branch.tap, head: head, target: target.name)
        return (lesion, branch.block)
      }
      let whole = lesion(nil, branch.tap)
      guard heads, let map = Self.map(of: branch.tap, summary) else { return [whole] }
      // [N, heads, T, S], or with windows [N, windows, heads, T, S].
      let count = map.shape[map.shape.rank - 3]
      return [whole] + (0..<count).map { lesion($0, map.tap) }
    }
  }

  /// The maps that the heads of an attention branch attend by.
  private static func map(of branch: Tap, _ summary: ModelSummary) -> ModelSummary.Entry? {
    guard branch.kind == .msa, let dot = branch.name.lastIndex(of: ".") else { return nil }
    let name = branch.name[...dot] + "attn_map"
    return summary.taps.first { $0.tap.name == name && $0.shape.rank >= 4 }
  }

  /// The replaced ones.
  public func taps(of model: Int) -> Set<String> { Set(study.lesions[model].map(\.target)) }

  /// The states that are kept of a pass.
  public func heldBytes(of model: Int, images: Int) -> Int {
    streamBytes[model] * images * BatchInHand.keptPasses * BatchesInHand.limit
  }

  /// Runs what comes from the lesion's block on.
  public func run(_ variant: Int, of model: Int, on batch: BatchInHand) throws -> VariantOutput {
    let lesion = study.lesions[model][variant]
    let probe = LesionProbe(lesion, by: study.replacement)
    let context = Context(probe: probe)
    let network = networks[model]
    let pass = blocks[model][variant].flatMap { batch.pass(of: network, before: $0) }
    let logits = pass?.finish(context) ?? network(batch.images, context)
    guard probe.isDone else {
      throw VitProbeError(.software, "the pass has not come by \(lesion.target)")
    }
    return VariantOutput(logits)
  }
}

/// Puts something else in the place of a branch, or of a head's attention map.
private final class LesionProbe: Probe {
  private let lesion: LesionStudy.Lesion
  private let replacement: LesionStudy.Replacement
  private(set) var isDone = false

  init(_ lesion: LesionStudy.Lesion, by replacement: LesionStudy.Replacement) {
    (self.lesion, self.replacement) = (lesion, replacement)
  }

  func wants(_ tap: Tap) -> Bool { tap.name == lesion.target }

  func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
    isDone = true
    if lesion.head == nil, replacement == .zero { return Tensor(repeating: 0, shape: value.shape) }
    let images = value.shape[0]
    let size = value.shape.count / max(1, images)
    // A head's maps are of T x S values, every so many of them; a branch is all of its value.
    let dimensions = value.shape.dimensions
    let (length, heads) =
      lesion.head == nil
      ? (size, 1) : (dimensions.suffix(2).reduce(1, *), dimensions[dimensions.count - 3])
    let starts = stride(from: (lesion.head ?? 0) * length, to: size, by: heads * length)
    var result = value.values
    for start in starts {
      for place in start..<(start + length) {
        let sum =
          replacement == .zero
          ? 0 : (0..<images).reduce(0.0) { $0 + Double(result[$1 * size + place]) }
        let new = Float(sum / Double(max(1, images)))
        for image in 0..<images { result[image * size + place] = new }
      }
    }
    return Tensor(result, shape: value.shape)
  }
}
