import Diagnostics
import Tensors

/// Which taps a user asked for.
public struct TapSelection: Sendable, Hashable {
  /// The ordering; nil for the analysis's own.
  public var ordering: TapOrdering?
  /// Globs on names; with `!` in front, what is left out. In order, the last that matches decides.
  public var layers: [String]

  /// A selection.
  public init(ordering: TapOrdering? = nil, layers: [String] = []) {
    self.ordering = ordering
    self.layers = layers
  }

  /// What an analysis looks at in a subject.
  ///
  /// - Parameter others: the subjects beside it; a glob for one of those need not match here.
  /// - Throws: ``VitProbeError`` `.usage` for a glob that matches nothing in any subject, and for a
  ///   subject without a layer unless the analysis allows it.
  func plan<A: Analyzer>(
    of subject: any Subject, beside others: [any Subject] = [], for analyzer: A
  ) throws(VitProbeError) -> SubjectPlan {
    func candidates(_ subject: any Subject) -> [PlannedTap] {
      self.candidates(
        subject, A.defaultOrdering, accepts: analyzer.accepts, always: analyzer.isOfEveryOrdering)
    }
    let base = candidates(subject)
    let taps =
      A.isOptional && base.isEmpty
      ? []
      : try select(
        base, of: subject, beside: others.map(candidates), analysis: A.name,
        hasOthers: subject.taps.contains { analyzer.accepts($0.tap) })
    return SubjectPlan(
      label: subject.label, family: subject.family, taps: taps, of: subject.taps,
      imageSize: subject.imageSize)
  }

  /// The taps of a subject that are written to a file: where some are named, any; no result of these
  /// changes its meaning with the others.
  ///
  /// - Throws: as ``plan(of:beside:for:)``.
  func taps(
    of subject: any Subject, standard: TapOrdering, for purpose: String
  ) throws(VitProbeError) -> [PlannedTap] {
    let named = layers.contains { !$0.hasPrefix("!") }
    return try select(
      candidates(subject, named ? .all : standard), of: subject, beside: [], analysis: purpose,
      hasOthers: !subject.taps.isEmpty)
  }

  /// The taps of the ordering: globs choose among these.
  private func candidates(
    _ subject: any Subject, _ standard: TapOrdering, accepts: (Tap) -> Bool = { _ in true },
    always: (Tap) -> Bool = { _ in false }
  ) -> [PlannedTap] {
    let role: Tap.Roles? =
      switch ordering ?? standard {
      case .blocks: .block
      case .sequence: .sequence
      case .all: nil
      }
    return subject.taps.filter { planned in
      accepts(planned.tap)
        && (role.map { planned.tap.roles.contains($0) || always(planned.tap) } ?? true)
    }
  }

  private func select(
    _ base: [PlannedTap], of subject: any Subject, beside others: [[PlannedTap]],
    analysis: String, hasOthers: Bool
  ) throws(VitProbeError) -> [PlannedTap] {
    let names = base.prefix(4).map(\.tap.name).joined(separator: ", ")
    let selection = NameSelection(layers)
    let known = ([base] + others).joined().map(\.tap.name)
    if let glob = selection.firstUnmatched(in: known) {
      let isElsewhere =
        selection.firstUnmatched(in: known + subject.taps.map(\.tap.name)) != glob
      throw VitProbeError(
        .usage,
        "`layers` \"\(glob)\" matches no layer of \(subject.label) that \(analysis) looks "
          + "at; its layers are \(names), …"
          + (isElsewhere && ordering != .all
            ? " (`ordering` all looks among all)"
            : " (vitprobe models NAME lists them)" + NameSelection.question(glob, among: known)))
    }
    let selected = base.filter { selection.includes($0.tap.name) }
    guard !selected.isEmpty else {
      throw VitProbeError(
        .usage,
        "no layer of \(subject.label) is left for \(analysis)"
          + (layers.isEmpty ? "" : " (layers: " + layers.joined(separator: " ") + ")")
          + (base.isEmpty && hasOthers
            ? "; `ordering` all, or sequence, looks among more than blocks" : "")
          + (names.isEmpty ? "" : "; its layers are \(names), … (vitprobe models NAME lists them)"))
    }
    return selected
  }
}
