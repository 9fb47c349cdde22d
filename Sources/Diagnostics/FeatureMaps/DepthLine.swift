import Reports
import Tensors

/// The layers of a model along its depth, in the order of the forward pass, and the steps between them: what figures
/// over depth have in common.
struct DepthLine {
  /// A layer.
  struct Layer {
    let name: String
    /// As tables have it: `msa`, `pool`.
    let kind: String
    let depth: Double
    /// Its place among the states after residual half-blocks; nil if it is none.
    let sequence: Double?
    /// The stage, of a network of several resolutions.
    let stage: Int?
    /// Places of a feature map; nil if there is none.
    let places: Int?
    /// Its rows in the table.
    var rows: [Int]
  }

  /// What happens between a layer and the one before it.
  enum Step {
    /// Self-attention.
    case attention
    /// The maps get smaller.
    case subsampling
    /// Multilayer perceptrons and convolutions.
    case other
  }

  let model: String
  private(set) var layers: [Layer] = []

  /// The layers of each model of a table.
  static func all(
    _ table: any TableRows, of source: FigureSource
  ) throws(ResultsError) -> [DepthLine] {
    let (names, depths) = (try table.texts(table.layerColumn), try table.numbers("depth"))
    let kinds = table.has("kind") ? try table.texts("kind") : nil
    let sequences = table.has("sequence") ? try table.numbers("sequence") : nil
    return try table.rowsByModel().map { group in
      var line = DepthLine(model: group.value)
      line.layers = RowGroup.of(group.rows, by: names).map { layer in
        let (row, known) = (layer.rows[0], source.layer(group.value, layer.value))
        return Layer(
          name: layer.value, kind: kinds?[row] ?? "", depth: depths[row] ?? 0,
          sequence: sequences?[row], stage: known?.stage, places: known?.places,
          rows: layer.rows)
      }
      return line
    }
  }

  /// The step into a layer; nil into the first, and wherever the layer before it is not the half-block before
  /// it: branches among residuals, blocks alone, layers left out.
  func step(into index: Int) -> Step? {
    guard index > 0, let now = layers[index].sequence, let before = layers[index - 1].sequence,
      now == before + 1
    else { return nil }
    if layers[index].kind == Tap.Kind.pool.rawValue { return .subsampling }
    if let now = layers[index].places, let before = layers[index - 1].places, now < before {
      return .subsampling
    }
    return layers[index].kind == Tap.Kind.msa.rawValue ? .attention : .other
  }

  /// Strips over the steps into self-attention and subsampling layers (Park & Kim 2022).
  var shades: [Mark] {
    layers.indices.compactMap { index in
      guard let step = step(into: index), layers[index - 1].depth < layers[index].depth else {
        return nil
      }
      let range = layers[index - 1].depth...layers[index].depth
      return switch step {
      case .attention: .shade(.attention(range))
      case .subsampling: .shade(.subsampling(range))
      case .other: nil
      }
    }
  }

  /// The depths at which stages begin, but for the first.
  private var stageDepths: [Double] {
    Self.stageStarts(layers.map(\.stage)).dropFirst().map { layers[$0.start].depth }
  }

  /// Where stages begin among layers, for models that have several.
  static func stageStarts(_ stages: [Int?]) -> [(start: Int, stage: Int)] {
    var starts: [(start: Int, stage: Int)] = []
    for (index, stage) in stages.enumerated() {
      guard let stage else { continue }
      if starts.last.map({ $0.stage != stage }) ?? true { starts.append((index, stage)) }
    }
    return starts.count > 1 ? starts : []
  }

  /// The mean change of a quantity over all steps of a kind, those left out whose ends are unknown.
  func meanChange(over kind: Step, of values: [Double?]) -> Double? {
    let changes = layers.indices.compactMap { index -> Double? in
      guard step(into: index) == kind, let to = values[index], let from = values[index - 1]
      else { return nil }
      return to - from
    }
    return changes.isEmpty ? nil : changes.reduce(0, +) / Double(changes.count)
  }

  /// Dotted lines where stages begin, for the models of one panel; in the colours of their lines where they
  /// differ.
  static func stageMarks(of group: [DepthLine], _ source: FigureSource) -> [Mark] {
    let staged = group.map { (model: $0.model, depths: $0.stageDepths) }
      .filter { !$0.depths.isEmpty }
    let isOne = Set(staged.map(\.depths)).count == 1
    return (isOne ? Array(staged.prefix(1)) : staged).flatMap { model, depths in
      depths.map { depth in
        .position(
          depth, name: isOne ? "Stage" : "Stage of \(model)", dash: .dotted,
          color: isOne ? .frame : source.style(model).color)
      }
    }
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
