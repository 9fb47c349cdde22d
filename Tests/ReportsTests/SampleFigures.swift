import Glibc
import Testing

@testable import Reports

/// Figures as the analyses make them, over values that follow simple formulas.
enum SampleFigures {
  static var all: [Figure] {
    [
      ckaCurve, ckaHeatMap, ckaPair, fourierPanels, fourierDepth, variance, hessian, histogram,
      attentionDistance, hostile, grid, wideHeatMaps,
    ]
  }

  /// A number in -1...1 that looks random and is the same everywhere.
  static func noise(_ index: Int) -> Double {
    var state = UInt64(truncatingIfNeeded: index) &* 0x9E37_79B9_7F4A_7C15 &+ 0x1234_5678
    state ^= state >> 31
    state &*= 0xBF58_476D_1CE4_E5B9
    state ^= state >> 27
    return Double(state >> 11) / Double(1 << 52) - 1
  }

  static var ckaCurve: Figure {
    func curve(_ name: String, _ count: Int, _ rise: Double, _ end: Double, _ style: Style)
      -> Mark
    {
      .series(
        Series(
          name,
          (0..<count).map { index in
            let depth = Double(index) / Double(count - 1)
            let value = 1 + (end - 1) * pow(depth, rise) + 0.01 * noise(index)
            return Point(
              depth, value, low: value - 0.03 - 0.05 * depth, high: value + 0.03 + 0.05 * depth,
              label: "blocks.\(index)")
          }, style: style))
    }
    let styles = Style.models(families: ["vit", "resnet", "refiner"])
    return Figure(
      name: "cka_curve", title: "Similarity of each block to the last",
      subtitle: "n = 10,000 images; linear CKA, unbiased, ratio of sums over minibatches of 64; "
        + "95 % bootstrap band",
      summary: "One line per model; a flat line has features that hardly change with depth.",
      panels: [
        .init(
          x: Axis("Block", range: 0...1), y: Axis("Normalized similarity"),
          [
            curve("ViT-Ti/16", 12, 2.6, 2.3, styles[0]),
            curve("ResNet-50", 16, 0.9, 3.1, styles[1]),
            curve("Refiner-S", 16, 1.6, 3.6, styles[2]),
          ])
      ])
  }

  private static func similarity(_ a: Int, _ b: Int, _ rows: Int, _ columns: Int) -> Double {
    let (x, y) = (Double(b) / Double(columns - 1), Double(a) / Double(rows - 1))
    let stages = (x * 3.99).rounded(.down) == (y * 3.99).rounded(.down) ? 0.12 : 0
    return max(-0.05, min(1, exp(-3.2 * (x - y) * (x - y)) * (0.86 + stages) - 0.12 * (x - y)))
  }

  static var ckaHeatMap: Figure {
    let names = (0..<25).map {
      $0 == 0 ? "embed" : "blocks.\(($0 - 1) / 2).\($0 % 2 == 1 ? "msa" : "mlp")"
    }
    let values = (0..<25).map { a in
      (0..<25).map { b -> Double? in
        a == b ? 1 : similarity(max(a, b), min(a, b), 25, 25)
      }
    }
    let stages = [
      HeatMap.Stage(start: 0, "Early"), .init(start: 9, "Middle"), .init(start: 17, "Late"),
    ]
    return Figure(
      name: "cka_vit_vit", title: "CKA: ViT-Ti/16 vs ViT-Ti/16",
      subtitle: "n = 10,000 images; linear CKA, unbiased, minibatches of 64",
      panels: [
        .init(
          x: Axis("Layers of ViT-Ti/16"), y: Axis("Layers of ViT-Ti/16"),
          [
            .heatMap(
              HeatMap(
                values, columnNames: names, rowNames: names, columnStages: stages,
                rowStages: stages))
          ])
      ], colorBar: .init("CKA", .magma))
  }

  /// Unequal depths, more layers than labels, values that do not exist and values out of range.
  static var ckaPair: Figure {
    let rows = 54
    let columns = 25
    var values = (0..<rows).map { a in
      (0..<columns).map { b -> Double? in similarity(a, b, rows, columns) }
    }
    for column in 0..<columns { values[20][column] = nil }
    values[3][24] = -0.031
    return Figure(
      name: "cka_vit_resnet", title: "CKA: ResNet-50 vs ViT-Ti/16",
      subtitle: "n = 512 images; linear CKA, unbiased, minibatches of 64",
      panels: [
        .init(
          x: Axis("Layers of ViT-Ti/16"), y: Axis("Layers of ResNet-50"),
          [
            .heatMap(
              HeatMap(
                values, columnNames: (0..<columns).map(String.init),
                rowNames: (0..<rows).map(String.init)))
          ])
      ], colorBar: .init("CKA", .magma))
  }

  static var fourierPanels: Figure {
    func panel(_ name: String, _ count: Int, _ fall: Double) -> Figure.Panel {
      let lines = (0..<count).reversed().map { layer in
        let depth = Double(layer) / Double(count - 1)
        let slope = fall * (0.35 + 0.65 * abs(sin(3 * depth + 0.4)))
        return Mark.series(
          Series(
            layer == 0 ? "patch_embed" : "blocks.\((layer - 1) / 2)",
            (0..<8).map { index in
              let frequency = Double(index) / 7
              return Point(
                frequency,
                -slope * pow(frequency, 0.7) + 0.06 * noise(layer * 8 + index) * frequency)
            }, style: Style(color: .frame, width: 1.6), paint: .value(depth), inLegend: false))
      }
      let first = -fall * (0.35 + 0.65 * abs(sin(0.4))) + 0.06 * noise(7)
      return .init(
        title: name, x: .frequency, y: Axis("Δ Log amplitude"),
        lines + [.note(x: 1, y: first, text: name.hasPrefix("ViT") ? "Emb" : "Stem")])
    }
    return Figure(
      name: "fourier", title: "Relative log amplitudes of Fourier-transformed feature maps",
      subtitle: "n = 256 images; diagonal of the 2D spectrum, mean over channels, relative to "
        + "frequency 0",
      panels: [panel("ResNet-50", 17, 3.1), panel("ViT-Ti/16", 25, 5.4)],
      colorBar: .init("Normalized depth", .plasma))
  }

  static func shades(_ count: Int, attention: [Int], subsampling: [Int] = []) -> [Mark] {
    func interval(_ index: Int) -> ClosedRange<Double> {
      Double(index - 1) / Double(count - 1)...Double(index) / Double(count - 1)
    }
    return attention.map { .shade(.attention(interval($0))) }
      + subsampling.map { .shade(.subsampling(interval($0))) }
  }

  static var fourierDepth: Figure {
    func series(_ name: String, _ count: Int, _ base: Double, _ style: Style) -> Mark {
      var value = base
      let depths = (0..<count).map { Double($0) / Double(count - 1) }
      let points = depths.enumerated().map { index, depth in
        value += index % 2 == 1 ? -0.35 + 0.1 * noise(index) : 0.24 + 0.1 * noise(index)
        return Point(depth, value, low: value - 0.05, high: value + 0.05, label: "layer \(index)")
      }
      return .series(
        Series(
          name, points, style: style, paint: .values(depths), interval: .bars))
    }
    return Figure(
      name: "fourier_depth", title: "High-frequency amplitude over depth",
      subtitle: "n = 256 images; Δ log amplitude at frequency 1.0π; bars: ± 1.96 standard errors",
      panels: [
        .init(
          title: "ViT-Ti/16", x: .depth, y: Axis("Δ Log amplitude at 1.0π"),
          shades(25, attention: Array(stride(from: 1, to: 25, by: 2)))
            + [series("ViT-Ti/16", 25, -2.0, Style(color: .frame, marker: .circle, width: 2.5))]),
        .init(
          title: "AlterNet-50", x: .depth, y: Axis("Δ Log amplitude at 1.0π"),
          shades(18, attention: [7, 9, 11, 13, 15, 17], subsampling: [4, 8, 14])
            + [series("AlterNet-50", 18, -1.4, Style(color: .frame, marker: .square, width: 2.5))]),
      ], colorBar: .init("Normalized depth", .plasma))
  }

  static var variance: Figure {
    func line(_ name: String, _ count: Int, _ scale: Double, _ style: Style) -> Mark {
      .series(
        Series(
          name,
          (0..<count).map { index in
            let depth = Double(index) / Double(count - 1)
            let value = scale * (0.1 + depth * depth + 0.22 * abs(sin(Double(index) * 1.7)))
            return Point(depth, value, low: value * 0.92, high: value * 1.08, label: "r\(index)")
          }, style: style, interval: .bars))
    }
    let styles = Style.models(families: ["resnet50", "vit"])
    return Figure(
      name: "variance", title: "Feature map variance over depth",
      subtitle:
        "n = 256 images; spatial variance, mean over channels; bars: ± 1.96 standard errors",
      panels: [
        .init(
          x: .depth, y: Axis("Feature map variance", includesZero: true),
          shades(25, attention: Array(stride(from: 1, to: 25, by: 2)), subsampling: [6, 12, 20])
            + [line("ResNet-50", 17, 1.1, styles[0]), line("ViT-Ti/16", 25, 0.6, styles[1])])
      ])
  }

  static var hessian: Figure {
    func density(
      _ name: String, _ range: ClosedRange<Double>, _ center: Double, _ width: Double,
      _ style: Style
    )
      -> Mark
    {
      let span = range.upperBound - range.lowerBound
      return .area(
        Area(
          name,
          (0...80).map { index in
            let x = range.lowerBound + span * Double(index) / 80
            let z = (x - center) / width
            return Point(x, exp(-z * z / 2) / width * 60)
          }, style: style))
    }
    var limited = Style.viT
    limited.dash = .dashed
    func panel(_ title: String, _ range: ClosedRange<Double>, _ sign: Double, _ weight: Double)
      -> Figure.Panel
    {
      .init(
        title: title, x: Axis("Hessian max eigenvalue", range: range),
        y: Axis("Density", scale: .log, range: 1e-3...10), weight: weight,
        [
          density("ResNet-50", range, sign * 120, 60, .resNet),
          density("ViT-Ti/16", range, sign * 40, sign < 0 ? 55 : 190, .viT),
          density("ViT-Ti/16, 6 % of the data", range, sign * 160, 90, limited),
        ])
    }
    return Figure(
      name: "hessian", title: "Spectrum of extreme Hessian eigenvalues",
      subtitle:
        "16 minibatches of 16 images, top 5 by magnitude, Lanczos; kernel density, Scott's rule",
      panels: [panel("Negative", -400...0, -1, 1), panel("Positive", 0...1000, 1, 1.6)],
      sharesX: false)
  }

  static var histogram: Figure {
    let edges = (0...20).map { -2 + Double($0) * 0.2 }
    return Figure(
      name: "histogram", title: "Eigenvalues of one minibatch",
      subtitle: "n = 16 images; 320 Ritz values",
      panels: [
        .init(
          x: Axis("Eigenvalue", unit: "a.u."), y: Axis("Count"),
          [
            .bars(
              Bars(
                "ViT-Ti/16", edges: edges,
                heights: (0..<20).map { (60 * exp(-pow(Double($0) - 11, 2) / 18)).rounded() },
                style: .viT)),
            .position(0, name: "zero", dash: .dashed),
          ])
      ])
  }

  static var attentionDistance: Figure {
    func mean(_ layer: Int) -> Double { 3e-5 * (10 + 6.5 * Double(layer)) }
    let heads: [Point] = (0..<72).map { index in
      let layer = index / 6
      let distance: Double = mean(layer) + 6.6e-4 * noise(index)
      return Point(Double(layer), distance, label: "head \(index % 6)")
    }
    let means: [Point] = (0..<12).map { Point(Double($0), mean($0)) }
    return Figure(
      name: "attention_distance", title: "Attention distance of every head",
      subtitle: "n = 512 images",
      panels: [
        .init(
          x: Axis("Block"), y: Axis("Mean distance", unit: "m"),
          [
            .level(0, name: nil, dash: .solid),
            .series(
              Series(
                "Heads", heads,
                style: Style(
                  color: Color.distinct[5], marker: .circle, width: 0, markerSize: 6, opacity: 0.8))
            ),
            .series(Series("Mean", means, style: Style(color: Color.distinct[0], dash: .dashed))),
          ])
      ])
  }

  /// Seven panels in rows of three, with shared axes and long names.
  static var grid: Figure {
    let panels = (0..<7).map { model in
      let style = Style.category(model)
      return Figure.Panel(
        title: "A model with quite a long name, number \(model)", x: .depth,
        y: Axis("Feature map variance", unit: "a.u.", scale: .log),
        shades(13, attention: [1, 3, 5, 7, 9, 11])
          + [
            .series(
              Series(
                "Spatial variance of model \(model)",
                (0..<13).map { index in
                  let depth = Double(index) / 12
                  let value = pow(10, 3 * depth - 1 + 0.3 * noise(index + 40 * model))
                  return Point(depth, value, low: value * 0.7, high: value / 0.7)
                }, style: style))
          ])
    }
    return Figure(
      name: "grid", title: "Feature map variance over depth, one panel for each of seven models",
      subtitle: "n = 256 images; spatial variance; 95 % band", panels: panels, columns: 3)
  }

  /// Two heat maps with long names side by side: more layers than labels, and a single cell.
  static var wideHeatMaps: Figure {
    func map(_ count: Int, _ prefix: String) -> Mark {
      .heatMap(
        HeatMap(
          (0..<count).map { a in (0..<count).map { b in exp(-abs(Double(a - b)) / 9) } },
          columnNames: (0..<count).map { "\(prefix).layer.\($0).attention.output.dense" },
          rowNames: (0..<count).map { "\(prefix).layer.\($0).attention.output.dense" }))
    }
    return Figure(
      name: "heat_maps", title: "CKA within each model", subtitle: "n = 64 images",
      panels: [
        .init(title: "Deep", x: Axis("Layer"), y: Axis("Layer"), [map(60, "encoder")]),
        .init(title: "One layer", x: Axis("Layer"), y: Axis("Layer"), [map(1, "encoder")]),
      ], colorBar: .init("CKA", .viridis))
  }

  /// Names that try to break out, points that do not exist, a constant, a single value.
  static var hostile: Figure {
    Figure(
      name: "../\"><script>", title: "A & B <script>alert('x')</script> \u{202E}gnp.\u{7}",
      subtitle: "",
      panels: [
        .init(
          title: "]]> & \"quoted\"", x: Axis("x <y>"), y: Axis("constant"),
          [
            .series(
              Series(
                "<b>&\u{0}",
                [Point(0, 2), Point(1, nil), Point(2, .nan), Point(3, 2), Point(4, 2)],
                style: .category(1))),
            .series(Series("empty", [], style: .category(2))),
          ]),
        .init(
          title: "log", x: Axis("x"), y: Axis("y", scale: .log),
          [
            .series(
              Series(
                "falls to zero", [Point(0, 1e4), Point(1, 1e-6), Point(2, 0), Point(4, 3)],
                style: .category(0)))
          ]),
        .init(title: "nothing", x: Axis("x"), y: Axis("y"), []),
      ], sharesX: false, sharesY: false)
  }
}

extension Figure: CustomTestStringConvertible {
  public var testDescription: String { name }
}
