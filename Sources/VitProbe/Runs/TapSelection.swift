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

  /// The taps of a subject that an analysis looks at.
  ///
  /// - Parameters:
  ///   - others: the subjects beside it; a glob for one of those need not match here.
  ///   - standard: the ordering if none was asked for.
  ///   - accepts: what the analysis can make something of.
  ///   - always: what of that it looks at whatever the ordering.
  /// - Throws: ``VitProbeError`` `.usage` for a glob that matches nothing in any subject, and for a
  ///   subject without a layer.
  func taps(
    of subject: any Subject, beside others: [any Subject] = [], standard: TapOrdering,
    accepts: (Tap) -> Bool,
    always: (Tap) -> Bool = { _ in false }, analysis: String
  ) throws(VitProbeError) -> [PlannedTap] {
    // Globs without an ordering look at everything: a user may ask for any tap by name.
    let ordering = ordering ?? (layers.contains { !$0.hasPrefix("!") } ? .all : standard)
    let role: Tap.Roles? =
      switch ordering {
      case .blocks: .block
      case .sequence: .sequence
      case .all: nil
      }
    func candidates(_ subject: any Subject) -> [PlannedTap] {
      subject.taps.filter { planned in
        accepts(planned.tap)
          && (role.map { planned.tap.roles.contains($0) || always(planned.tap) } ?? true)
      }
    }
    let base = candidates(subject)
    let names = base.prefix(4).map(\.tap.name).joined(separator: ", ")
    for glob in layers {
      let pattern = Glob(glob.hasPrefix("!") ? String(glob.dropFirst()) : glob)
      func matches(_ planned: PlannedTap) -> Bool { pattern.matches(planned.tap.name) }
      guard
        base.contains(where: matches)
          || others.contains(where: { candidates($0).contains(where: matches) })
      else {
        throw VitProbeError(
          .usage,
          "--layers \"\(glob)\" matches no layer of \(subject.label) that \(analysis) looks "
            + "at; its layers are \(names), … (vitprobe models NAME lists them)")
      }
    }
    let startsIn = layers.first.map { $0.hasPrefix("!") } ?? true
    let selected = base.filter { planned in
      layers.reduce(startsIn) { included, glob in
        let excludes = glob.hasPrefix("!")
        let pattern = Glob(excludes ? String(glob.dropFirst()) : glob)
        return pattern.matches(planned.tap.name) ? !excludes : included
      }
    }
    guard !selected.isEmpty else {
      throw VitProbeError(
        .usage,
        "no layer of \(subject.label) is left for \(analysis) (taps: \(ordering.rawValue)"
          + (layers.isEmpty ? "" : ", layers: " + layers.joined(separator: " ")) + ")"
          + (names.isEmpty ? "" : "; its layers are \(names), … (vitprobe models NAME lists them)"))
    }
    return selected
  }
}
