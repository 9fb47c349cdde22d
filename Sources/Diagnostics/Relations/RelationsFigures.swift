import Reports
import Tensors

/// Layers on the map of operations, and their measures over depth.
struct RelationsFigures {
  private let plan: Plan
  private let rows: [[RelationsReport.Row]]
  private let images: Int
  private let styles: [Style]

  init(plan: Plan, rows: [[RelationsReport.Row]], images: Int) {
    (self.plan, self.rows, self.images) = (plan, rows, images)
    styles = Style.models(families: plan.subjects.map(\.family))
  }

  /// Those that show anything.
  var all: [Figure] { [map, depth].compactMap(\.self) }

  private var counted: String { "n = \(images) image\(images == 1 ? "" : "s")" }

  // MARK: The map

  /// Sparse connections against dynamic weights, and the two kinds of sharing against each other: the axes along
  /// which Han et al. tell operations apart, with the corners named by what lies there.
  private var map: Figure? {
    let panels = [
      panel(
        .outside3, .images,
        corners: ["convolution", "dynamic convolution", "MLP over places", "attention"]),
      panel(
        .places, .heads,
        corners: ["pooling", "depth-wise, SE", "involution", "attention"]),
    ].compactMap(\.self)
    guard !panels.isEmpty else { return nil }
    return Figure(
      name: "relations_map", title: "Layers on the map of operations",
      subtitle: "\(counted); a point a layer",
      summary:
        "How far layers reach against how much their weights depend on the image, and how much weights "
        + "vary over places against how much over channels; each corner is named by operations that lie there.",
      panels: panels, columns: 2, sharesX: false, sharesY: false, panelSize: (260, 260))
  }

  private func panel(
    _ x: RelationMeasure, _ y: RelationMeasure, corners: [String]
  ) -> Figure.Panel? {
    var marks: [Mark] = zip(corners, [(0.0, 0.0), (0, 1), (1, 0), (1, 1)]).map { name, place in
      // Words stand to the right of their place.
      .note(x: place.0 == 0 ? 0.02 : 0.55, y: place.1 == 0 ? 0.03 : 1.02, text: name)
    }
    var isEmpty = true
    for (index, subject) in plan.subjects.enumerated() {
      let points = rows[index].enumerated().compactMap { tap, row -> Point? in
        guard let across = row[x].value, let up = row[y].value else { return nil }
        return Point(across, up, label: subject.taps[tap].tap.name)
      }
      guard !points.isEmpty else { continue }
      isEmpty = false
      var style = styles[index]
      (style.width, style.opacity) = (0, 0.75)
      marks.append(.series(Series(subject.label, points, style: style)))
    }
    return isEmpty
      ? nil
      : Figure.Panel(
        x: Axis(x.title, range: 0...1.05), y: Axis(y.title, range: 0...1.05), marks)
  }

  // MARK: Over depth

  private var depth: Figure? {
    let panels = RelationMeasure.allCases.compactMap { measure -> Figure.Panel? in
      guard measure != .outside5 else { return nil }
      let marks = plan.subjects.indices.compactMap { series(measure, $0) }
      guard !marks.isEmpty else { return nil }
      let title = measure == .rank ? "Rank over its bound" : measure.title
      return Figure.Panel(
        x: .depth, y: Axis(title, includesZero: true),
        plan.stageMarks(of: Array(plan.subjects.indices), styles: styles) + marks)
    }
    guard !panels.isEmpty else { return nil }
    return Figure(
      name: "relations_depth", title: "How local, how dynamic, how shared: over depth",
      subtitle: "\(counted); bars: 95 % intervals over images",
      summary:
        "Share of weight outside small windows, shares of variation over images, places and channels, and "
        + "the effective rank over its bound, of each layer that mixes places.",
      panels: panels, columns: 2, sharesY: false)
  }

  private func series(_ measure: RelationMeasure, _ index: Int) -> Mark? {
    let subject = plan.subjects[index]
    let points = rows[index].enumerated().map { tap, row -> Point in
      let bound = measure == .rank ? Double(max(1, row.layer?.rankBound ?? 1)) : 1
      let value = row[measure].value.map { $0 / bound }
      let half = row[measure].error.map { ImageMoments.halfWidth * $0 / bound }
      return Point(
        subject.depth(tap), value, low: value.flatMap { value in half.map { value - $0 } },
        high: value.flatMap { value in half.map { value + $0 } },
        label: subject.taps[tap].tap.name)
    }
    guard points.contains(where: { $0.y != nil }) else { return nil }
    return .series(Series(subject.label, points, style: styles[index], interval: .bars))
  }
}
