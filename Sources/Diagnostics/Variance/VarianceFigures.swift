import Reports

/// Variance over depth.
public struct VarianceFigures {
  private let source: FigureSource

  /// The figure of the table `variance`, if it is there.
  public init(_ source: FigureSource) { self.source = source }

  /// One panel for models whose steps are alike; otherwise a panel each, shaded by its own steps and
  /// with a scale of its own, since the sizes of features of different architectures have nothing
  /// to do with each other.
  public var all: [Figure] {
    get throws(ResultsError) {
      guard let table = source.table("variance") else { return [] }
      let (values, errors) = (try table.numbers("value"), try table.numbers("se"))
      let variant = try table.constant("variant")
      let lines = try DepthLine.all(table, of: source)
      let isAlike = lines.allSatisfy { $0.shades == lines[0].shades }
      let groups = isAlike ? [lines] : lines.map { [$0] }
      let panels = groups.compactMap { group -> Figure.Panel? in
        guard let first = group.first,
          group.contains(where: { $0.layers.contains { values[$0.rows[0]] != nil } })
        else { return nil }
        let series = group.map { line -> Mark in
          let points = line.layers.map { layer in
            Point(
              layer.depth, values[layer.rows[0]], error: errors[layer.rows[0]], label: layer.name,
              key: source.key(line.model, layer.name))
          }
          return .series(
            Series(line.model, points, style: source.style(line.model), interval: .bars))
        }
        return Figure.Panel(
          title: groups.count > 1 ? first.model : "", x: .depth,
          y: Axis(
            variant == "normalised" ? "Variance / mean square" : "Feature map variance",
            includesZero: true),
          first.shades + DepthLine.stageMarks(of: group, source) + series)
      }
      guard !panels.isEmpty else { return [] }
      let hasBars = errors.contains { $0 != nil }
      return [
        Figure(
          name: "variance", title: "Feature map variance over depth",
          subtitle: "\(try table.imageCount()); \(Self.words(variant))"
            + (hasBars
              ? "; bars: 95 % intervals over \(variant == "sample" ? "minibatches" : "images")"
              : ""),
          summary: "How much feature maps vary in each layer; steps into self-attention are shaded "
            + "gray, subsampling blue.", panels: panels, sharesY: false)
      ]
    }
  }

  private static func words(_ variant: String) -> String {
    switch VarianceSettings.Variant(rawValue: variant) {
    case .spatial: "over the places of a map, mean over channels"
    case .sample: "over the images of a minibatch, mean over places and channels"
    case .normalised: "over the places of a map, relative to the mean square"
    case nil: "variant \(variant)"
    }
  }
}
