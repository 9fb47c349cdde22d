import Reports

extension View {
  static let variance = View(
    id: "variance", title: "Feature-map variance",
    explanation: "How much the maps of a layer vary, in the unit of the features squared: sizes of "
      + "different architectures have nothing to do with each other, the shape of a curve does. Gray "
      + "strips are steps into self-attention, blue ones into subsampling.",
    tables: ["variance"]
  ) { (run, layers) throws(ResultsError) in
    guard let table = run.table("variance") else { return [] }
    let (names, kinds, depths) = (
      try table.texts("layer_name"), try table.texts("kind"), try table.numbers("depth")
    )
    let (values, errors) = (try table.numbers("value"), try table.numbers("se"))
    let groups = try ModelRows.of(table, in: run).filter { $0.rows.contains { values[$0] != nil } }
    guard !groups.isEmpty else { return [] }
    let panels = groups.map { group in
      let points = group.rows.map { row in
        Point(
          depths[row] ?? 0, values[row], error: errors[row], label: names[row],
          key: layers.number(run.number, group.model, names[row]))
      }
      return Figure.Panel(
        title: groups.count > 1 ? group.model : "", x: .depth,
        y: Axis("Feature map variance", includesZero: true),
        shades(group.rows.map { depths[$0] }, group.rows.map { kinds[$0] }) + [
          .series(Series(group.model, points, style: run.style(group.model), interval: .bars))
        ])
    }
    let variants = Set(try table.texts("variant")).sorted().joined(separator: "/")
    return [
      Figure(
        name: "variance", title: "Feature map variance over depth",
        subtitle: "\(imageCount(try table.numbers("n_images"))), variant \(variants); bars: 95 % "
          + "intervals",
        summary: "How much feature maps vary in each layer.", panels: panels, sharesY: false)
    ]
  }
}
