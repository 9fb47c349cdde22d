import Reports

extension View {
  static let robustness = View(
    id: "robustness", title: "Robustness",
    explanation:
      "How many percentage points of accuracy a change of the images costs: noise of one "
      + "spatial frequency, and common corruptions of rising severity.",
    tables: ["robustness"]
  ) { (run, _) throws(ResultsError) in
    guard let table = run.table("robustness") else { return [] }
    let (tests, severities) = (try table.texts("test"), try table.numbers("severity"))
    let frequencies = try table.numbers("f_over_pi")
    let (values, low, high) = (
      try table.numbers("delta_acc_pp"), try table.numbers("ci_lo"), try table.numbers("ci_hi")
    )
    let groups = try ModelRows.of(table, in: run)
    let images = imageCount(try table.numbers("n_images"))
    func lines(_ place: (Int) -> Double?) -> [Mark] {
      groups.compactMap { group in
        let points = group.rows.compactMap { row -> Point? in
          guard let x = place(row), values[row] != nil else { return nil }
          return Point(x, values[row], low: low[row], high: high[row], label: tests[row])
        }
        guard !points.isEmpty else { return nil }
        return .series(
          Series(
            group.model, points.sorted { $0.x < $1.x }, style: run.style(group.model),
            interval: .bars))
      }
    }
    let y = Axis("Δ accuracy", unit: "pp", includesZero: true)
    var figures: [Figure] = []
    let noise = lines { frequencies[$0] }
    if !noise.isEmpty {
      figures.append(
        Figure(
          name: "robustness_frequency", title: "Accuracy under noise of one frequency",
          subtitle: "\(images); bars: 95 % intervals over the same images",
          summary: "Accuracy lost to noise whose spectrum is a ring around a frequency.",
          panels: [Figure.Panel(x: .frequency, y: y, noise)], panelSize: (560, 280)))
    }
    let kinds = ModelRows.groups(
      table.rows.indices.filter { severities[$0] != nil }, by: tests
    ).map(\.value)
    let panels = kinds.compactMap { kind -> Figure.Panel? in
      let marks = lines { tests[$0] == kind ? severities[$0] : nil }
      guard !marks.isEmpty else { return nil }
      return Figure.Panel(
        title: String(kind.map { $0 == "_" ? " " : $0 }),
        x: Axis(
          "Severity", range: 0.7...5.3, ticks: (1...5).map { Axis.Tick(Double($0), "\($0)") }),
        y: y, marks)
    }
    if !panels.isEmpty {
      figures.append(
        Figure(
          name: "robustness_corruptions", title: "Accuracy under common corruptions",
          subtitle: "\(images); bars: 95 % intervals over the same images",
          summary: "Accuracy lost to corruptions of rising severity.", panels: panels,
          columns: min(3, panels.count)))
    }
    return figures
  }
}
