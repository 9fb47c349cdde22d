import Reports
import Tensors

extension SubjectPlan {
  /// What happens between a record and the one before it.
  enum Step {
    /// Self-attention.
    case attention
    /// The maps get smaller.
    case subsampling
    /// Multilayer perceptrons and convolutions.
    case other
  }

  /// The step into a record; nil into the first, and wherever the record before it is not the half-block
  /// before it: branches among residuals, blocks alone, layers left out.
  func step(into index: Int) -> Step? {
    guard isStep(index) else { return nil }
    if taps[index].tap.kind == .pool { return .subsampling }
    if let now = MapGrid(taps[index]), let before = MapGrid(taps[index - 1]),
      now.positions < before.positions
    {
      return .subsampling
    }
    return taps[index].tap.kind == .msa ? .attention : .other
  }

  /// Strips over the steps into self-attention and subsampling records (Park & Kim 2022).
  var shades: [Mark] {
    taps.indices.compactMap { index in
      guard let step = step(into: index) else { return nil }
      let range = depth(index - 1)...depth(index)
      return switch step {
      case .attention: .shade(.attention(range))
      case .subsampling: .shade(.subsampling(range))
      case .other: nil
      }
    }
  }

  /// The depths at which stages begin, but for the first.
  var stageDepths: [Double] { stageStarts.dropFirst().map { depth($0.start) } }

  /// The mean change of a quantity over all steps of a kind, those left out whose ends are unknown.
  func meanChange(over kind: Step, of values: [Double?]) -> Double? {
    let changes = taps.indices.compactMap { index -> Double? in
      guard step(into: index) == kind, let to = values[index], let from = values[index - 1]
      else { return nil }
      return to - from
    }
    return changes.isEmpty ? nil : changes.reduce(0, +) / Double(changes.count)
  }
}

extension SubjectPlan {
  /// A remark on layers whose layout is not known; nil if there are none.
  var noteOnUnknownLayouts: String? {
    let unknown = taps.filter { $0.tap.layout == .unknown }
    return unknown.first.map {
      "\(label): the layout of \(unknown.count) layer(s) is not known, so that there are no maps to look "
        + "at; the first is \($0.tap.name), and their cells are empty"
    }
  }
}

extension Plan {
  /// Which subjects can stand in one panel: neighbours with the same shading.
  var panels: [[Int]] {
    let same = subjects.allSatisfy { $0.shades == subjects[0].shades }
    return same ? [Array(subjects.indices)] : subjects.indices.map { [$0] }
  }

  /// Dotted lines where stages begin, for the subjects of one panel; in the colours of their lines where
  /// they differ.
  func stageMarks(of group: [Int], styles: [Style]) -> [Mark] {
    let staged = group.filter { !subjects[$0].stageDepths.isEmpty }
    let isOne = Set(staged.map { subjects[$0].stageDepths }).count == 1
    return (isOne ? Array(staged.prefix(1)) : staged).flatMap { index in
      subjects[index].stageDepths.map { depth in
        .position(
          depth, name: isOne ? "Stage" : "Stage of \(subjects[index].label)", dash: .dotted,
          color: isOne ? .frame : styles[index].color)
      }
    }
  }
}
