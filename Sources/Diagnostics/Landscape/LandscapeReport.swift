import Reports

/// Tables, figures and grids of loss landscapes.
extension StudyResults<LandscapeStudy> {
  var report: Report {
    get throws {
      let tables = [table(named: LandscapeStudy.name), summaryTable]
      let source = FigureSource(
        tables, settings: study.settings, networks: models.map(NetworkOutline.init))
      return Report(
        tables: tables, figures: try LandscapeFigures(source).all, summary: tables[1],
        grids: grids(named: LandscapeStudy.name), networks: source.networks)
    }
  }

  /// A row a place.
  func table(named name: String) -> Table {
    var table = Table(
      name,
      columns: [
        .text("model"), .text("data"), .integer("seed"), .text("norm"), .real("x"), .real("y"),
        .real("nll"), .real("se"), .real("acc"), .real("l1"), .real("l2_norm_sum"),
        .real("l2_half_sq"), .integer("n_images"), .text("status"),
      ])
    for model in models {
      for (index, place) in study.places.enumerated() {
        let (scores, weights) = (model.variants[index], model.weights[index])
        table.append([
          .text(model.label), .text(data),
          study.direction.isRandom ? .integer(Int(truncatingIfNeeded: study.seed)) : .empty,
          .text(study.direction.rawValue), .real(place.x), .real(place.y), Cell(scores.loss),
          Cell(scores.lossError), Cell(scores.accuracy), Cell(weights?.l1),
          Cell(weights?.normSum), Cell(weights?.halfSquare), .integer(scores.count),
          .text(model.status([scores])),
        ])
      }
    }
    return table
  }

  private var summaryTable: Table {
    var table = Table(
      "landscape_summary",
      columns: [
        .text("model"), .text("to"), .integer("n_places"), .integer("n_images"), .real("nll"),
        .real("acc"), .real("nll_min"), .real("x_min"), .real("y_min"), .real("nll_max"),
        .real("curvature_x"), .real("curvature_y"), .real("eigenvalue_x"), .real("eigenvalue_y"),
        .real("radius"), .real("worst_rise"), .real("barrier"), .text("status"),
      ])
    for model in models {
      let losses = model.variants.map(\.loss)
      let known = zip(study.places, losses).compactMap { place, loss in loss.map { (place, $0) } }
      let least = known.min { $0.1 < $1.1 }
      let shape = LandscapeShape(study, losses, origin: model.baseline.loss)
      let whole = model.status([model.baseline])
      let eigenvalues = model.measures.dropFirst().lazy.compactMap(\.first).first ?? []
      func eigenvalue(_ axis: Int) -> Cell {
        Cell(eigenvalues.indices.contains(axis) ? eigenvalues[axis] : nil)
      }
      table.append([
        .text(model.label),
        Cell(study.targets.isEmpty ? nil : study.targets.map(\.label).joined(separator: ", ")),
        .integer(known.count), .integer(model.baseline.count), Cell(model.baseline.loss),
        Cell(model.baseline.accuracy), Cell(least?.1), Cell(least?.0.x), Cell(least?.0.y),
        Cell(known.map(\.1).max()), Cell(shape.curvatures[0]),
        Cell(study.isPlane ? shape.curvatures[1] : nil), eigenvalue(0), eigenvalue(1),
        .real(LandscapeShape.radius), Cell(shape.worstRise), Cell(shape.barrier),
        .text(
          whole == "ok" && known.count < losses.count ? "gaps" : whole),
      ])
    }
    return table
  }

  /// The surface of each model for other programs.
  func grids(named name: String) -> [ScalarGrid] {
    models.map { model in
      func field(_ name: String, _ value: (ScoreSums) -> Double?) -> ScalarGrid.Field {
        ScalarGrid.Field(name, model.variants.map { value($0) ?? .nan })
      }
      return ScalarGrid(
        name: name + "_" + slug(model.label), x: study.axes[0],
        y: study.isPlane ? study.axes[1] : [0],
        fields: [field("nll", \.loss), field("se", \.lossError), field("acc", \.accuracy)])
    }
  }
}
