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
  /// Bytes of states of a pass that are kept of a minibatch, so that the whole pass and those up to lesions are one.
  private static let stateBytes = 256 << 20
  /// The least number of states: a thread may be a block behind another.
  private static let leastStates = 2
  /// Of each model, where the maps behind each of its branches are looked at.
  private let profileTaps: [[PlannedTap?]]

  /// Finds the residual branches of models.
  ///
  /// - Parameters:
  ///   - replacement: what is put in the place of a branch.
  ///   - heads: whether attention heads are removed one by one as well.
  ///   - layers: globs on the names of lesions, `blocks.3.attn_branch` and `blocks.3.attn_branch#2`.
  ///   - buildUp: whether convolutions are ranked by what a self-attention would do in their place.
  /// - Throws: ``VitProbeError`` for a model without residual branches, `--heads` where no model has heads,
  ///   and globs that match nothing.
  public init(
    _ subjects: [ModelSubject], by replacement: LesionStudy.Replacement, heads: Bool = false,
    layers: [String] = [], buildUp: Bool = false
  ) throws(VitProbeError) {
    var found: [[(lesion: LesionStudy.Lesion, block: Int?)]] = []
    var (streams, followers) = ([Int](), [[String: PlannedTap]]())
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
      followers.append(Self.followers(of: summary))
    }
    streamBytes = streams
    if buildUp, !found.joined().contains(where: { $0.lesion.branch.kind == .conv }) {
      throw VitProbeError(
        .usage,
        "`buildUp`: \(subjects.map(\.label).joined(separator: ", ")) has no convolution that a "
          + "self-attention could stand in for")
    }
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
    study = LesionStudy(
      chosen.map { $0.map(\.lesion) }, by: replacement,
      lastLayers: subjects.map { subject in
        subject.taps.last {
          $0.tap.roles.contains(.block) && CKAAnalyzer().accepts($0.tap)
        }?.tap.name
      }, ranksBuildUp: buildUp)
    profileTaps = zip(chosen, followers).map { own, followers in
      own.filter { $0.lesion.head == nil }.map { followers[$0.lesion.branch.name] }
    }
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

  /// Of each branch, the residual half-block that it becomes part of, by the branch's name.
  private static func followers(of summary: ModelSummary) -> [String: PlannedTap] {
    var (found, branch) = ([String: PlannedTap](), String?.none)
    for entry in summary.taps {
      if entry.tap.roles.contains(.branch) { branch = entry.tap.name }
      guard let name = branch, entry.tap.roles.contains(.sequence) else { continue }
      found[name] = PlannedTap(
        tap: entry.tap, shape: Array(entry.shape.dimensions.dropFirst()))
      branch = nil
    }
    return found
  }

  /// The maps that the heads of an attention branch attend by.
  private static func map(of branch: Tap, _ summary: ModelSummary) -> ModelSummary.Entry? {
    guard branch.kind == .msa, let dot = branch.name.lastIndex(of: ".") else { return nil }
    let name = branch.name[...dot] + "attn_map"
    return summary.taps.first { $0.tap.name == name && $0.shape.rank >= 4 }
  }

  /// The replaced ones, the last layer, and where maps are looked at.
  public func taps(of model: Int) -> Set<String> {
    var taps = Set(study.lesions[model].map(\.target))
    if let last = study.lastLayers[model] { taps.insert(last) }
    if study.ranksBuildUp { taps.formUnion(profileTaps[model].compactMap { $0?.tap.name }) }
    return taps
  }

  /// Gram matrices.
  public func heldBytes(of model: Int, images: Int) -> Int { 2 * 8 * images * images }

  /// The states that are kept of a pass, and a Gram matrix.
  public func bytesInHand(of model: Int, images: Int) -> Int {
    streamBytes[model] * images * statesKept(of: model, images: images) + 8 * images * images
  }

  /// One before each block that has a lesion, if all have room together.
  private func statesKept(of model: Int, images: Int) -> Int {
    let all = Set(blocks[model].compactMap(\.self)).count
    let fit = all * streamBytes[model] * images <= Self.stateBytes
    return fit ? max(all, Self.leastStates) : Self.leastStates
  }

  /// The class scores of the whole network, with its last layer kept for lesions, and its maps measured where they
  /// rank branches.
  public func runWhole(_ model: Int, on batch: BatchInHand) -> WholePass? {
    let profile = study.ranksBuildUp ? FeatureProfile(profileTaps[model]) : nil
    let probe = WholeProbe(study.lastLayers[model], profile)
    let logits = wholeLogits(model, on: batch, Context(probe: probe))
    return WholePass(
      VariantOutput(logits, measures: profile?.measures(images: batch.minibatch.count)),
      last: probe.last)
  }

  /// The whole pass, on whose way the states before lesions are kept where all of them have room.
  private func wholeLogits(_ model: Int, on batch: BatchInHand, _ context: Context) -> Tensor {
    let (network, wanted) = (networks[model], Set(blocks[model].compactMap(\.self)))
    let limit = statesKept(of: model, images: batch.minibatch.count)
    guard let last = wanted.max(), limit >= wanted.count,
      var pass = network.begin(batch.images, context)
    else { return network(batch.images, context) }
    while pass.block < last {
      if wanted.contains(pass.block) { batch.keep(pass, of: limit) }
      pass = pass.next(context)
    }
    batch.keep(pass, of: limit)
    return pass.finish(context)
  }

  /// Runs what comes from the lesion's block on.
  public func run(
    _ variant: Int, of model: Int, on batch: BatchInHand, beside whole: () throws -> WholePass
  ) throws -> VariantOutput {
    let lesion = study.lesions[model][variant]
    let probe = LesionProbe(lesion, by: study.replacement, last: study.lastLayers[model])
    let context = Context(probe: probe)
    let network = networks[model]
    let limit = statesKept(of: model, images: batch.minibatch.count)
    let pass = blocks[model][variant].flatMap {
      batch.pass(of: network, before: $0, keeping: limit)
    }
    let logits = pass?.finish(context) ?? network(batch.images, context)
    guard probe.isDone else {
      throw VitProbeError(.software, "the pass has not come by \(lesion.target)")
    }
    guard study.lastLayers[model] != nil else { return VariantOutput(logits) }
    guard let own = probe.last, let other = try whole().last else {
      throw VitProbeError(.software, "the pass has not come by its last layer")
    }
    return VariantOutput(logits, measures: CentredGram.measures(of: other, and: own))
  }
}

/// Looks at the last layer of a whole pass, and at the maps on the way.
private final class WholeProbe: Probe {
  private let lastName: String?
  private let profile: FeatureProfile?
  private(set) var last: CentredGram?

  init(_ lastName: String?, _ profile: FeatureProfile?) {
    (self.lastName, self.profile) = (lastName, profile)
  }

  func wants(_ tap: Tap) -> Bool { tap.name == lastName || profile?.wants(tap) ?? false }

  func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
    if tap.name == lastName { last = CentredGram(value) }
    profile?.observe(tap, value)
    return value
  }
}

/// Puts something else in the place of a branch, or of a head's attention map.
private final class LesionProbe: Probe {
  private let lesion: LesionStudy.Lesion
  private let replacement: LesionStudy.Replacement
  private let lastName: String?
  private(set) var isDone = false
  private(set) var last: CentredGram?

  init(
    _ lesion: LesionStudy.Lesion, by replacement: LesionStudy.Replacement, last: String?
  ) {
    (self.lesion, self.replacement, lastName) = (lesion, replacement, last)
  }

  func wants(_ tap: Tap) -> Bool { tap.name == lesion.target || tap.name == lastName }

  func removes(_ tap: Tap) -> Bool {
    guard tap.name == lesion.target, lesion.head == nil, replacement == .zero else { return false }
    isDone = true
    return true
  }

  func observe(_ tap: Tap, _ value: Tensor) -> Tensor {
    guard tap.name == lesion.target else {
      last = CentredGram(value)
      return value
    }
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
