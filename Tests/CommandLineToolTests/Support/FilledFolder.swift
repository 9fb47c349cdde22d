import Diagnostics
import Reports
import TestSupport
import Testing

@testable import Pages

/// What holds of every folder that a command fills.
enum FilledFolder {
  /// A page draws the figures of the command from the tables, to the last byte.
  static func expectPageToDrawTheSame(_ folder: String) throws {
    let results = try RunResults(FinishedRun(reading: folder), number: 0, title: "run")
    let figures = try View.all.flatMap { try $0.figures(results.source($0.id, nil)) }
    let names = Scratch.entries(folder).sorted().filter { $0.hasSuffix(".svg") }
    #expect(!names.isEmpty)
    for name in names {
      let figure = figures.first { $0.name + ".svg" == name }
      #expect(
        figure?.svg.utf8.elementsEqual(Scratch.read(folder + "/" + name) ?? []) == true, "\(name)")
    }
  }

  /// Lines of a model have one colour and marker in all figures, and stages stand at one depth in all that are over
  /// depth: dotted.
  static func expectOneLook(_ folder: String, models: [String], staged: Set<String>) throws {
    let results = try RunResults(FinishedRun(reading: folder), number: 0, title: "run")
    let figures = try View.all.flatMap { try $0.figures(results.source($0.id, nil)) }
    let marks = figures.flatMap { figure in
      figure.panels.flatMap(\.marks).map { (figure: figure.name, mark: $0) }
    }
    for model in models {
      let styles = marks.compactMap { _, mark -> Style? in
        guard case .series(let series) = mark, series.paint == .style,
          series.name == model || series.name.hasPrefix(model + ", ")
        else { return nil }
        return series.style
      }
      #expect(Set(styles.map(\.color)).count == 1, "\(model)")
      #expect(Set(styles.map(\.marker)).count == 1, "\(model)")
    }
    var depths: [String: Set<Double>] = [:]
    for (figure, mark) in marks {
      guard case .position(let depth, let name?, let dash, _) = mark, name.hasPrefix("Stage") else {
        continue
      }
      #expect(dash == .dotted, "\(figure)")
      depths[figure, default: []].insert(depth)
    }
    #expect(Set(depths.keys) == staged)
    #expect(Set(depths.values).count == (staged.isEmpty ? 0 : 1), "\(depths)")
  }

  private static let page =
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(4)
    .joined(separator: "/") + "/docs/output.md"

  /// Every file stands in the row of the command in the table of `docs/output.md`.
  static func expectFilesToBeDocumented(_ folder: String, of command: String) throws {
    let text = String(decoding: try #require(Scratch.read(page)), as: UTF8.self)
    let row = try #require(
      text.split(separator: "\n").first { $0.hasPrefix("| `\(command)` |") }, "\(command)")
    let patterns = row.split(separator: "`").enumerated().filter { !$0.offset.isMultiple(of: 2) }
      .map { $0.element.split(separator: ".")[0] }
    for name in Scratch.entries(folder).sorted() where name != "run.json" && name != "metrics.csv" {
      let stem = name.split(separator: ".")[0]
      let isThere = patterns.contains { pattern in
        pattern == stem
          || ["MODEL", "STATISTIC"].contains { word in
            // The places of names, which stand at the end.
            pattern.hasSuffix("_" + word)
              && stem.hasPrefix(
                pattern[..<(pattern.firstRange(of: "_" + word)?.lowerBound ?? pattern.endIndex)]
                  + "_")
          }
      }
      #expect(isThere, "\(name) of \(command)")
    }
  }
}
