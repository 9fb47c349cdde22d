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

  /// The names of files, without endings, in the row of a command in the table of `docs/output.md`, and in the rows of
  /// the commands that it names.
  static func documentedNames(of command: String) throws -> Set<String> {
    let text = String(decoding: try #require(Scratch.read(page)), as: UTF8.self)
    func names(_ command: String) -> Set<String>? {
      guard let row = text.split(separator: "\n").first(where: { $0.hasPrefix("| `\(command)` |") })
      else { return nil }
      let quoted = row.split(separator: "`").enumerated().filter { !$0.offset.isMultiple(of: 2) }
        .map { String($0.element.split(separator: ".")[0]) }.dropFirst()
        .filter { !$0.hasPrefix("-") }
      var all = Set(quoted)
      if row.contains("those of") {
        for other in quoted { all.formUnion(names(other) ?? []) }
      }
      return all
    }
    return try #require(names(command), "\(command)")
  }

  /// Every file stands in the row of the command in the table of `docs/output.md`.
  static func expectFilesToBeDocumented(_ folder: String, of command: String) throws {
    let patterns = try documentedNames(of: command)
    for name in Scratch.entries(folder).sorted() where name != "run.json" && name != "metrics.csv" {
      let stem = String(name.split(separator: ".")[0])
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

  /// Every name in the row of the command stands for a file of the folder.
  static func expectNoOtherFilesToBeDocumented(
    _ folder: String, of command: String, but rare: Set<String> = []
  ) throws {
    let stems = Scratch.entries(folder).map { String($0.split(separator: ".")[0]) }
    for pattern in try documentedNames(of: command).subtracting(rare) {
      let prefix = ["_MODEL", "_STATISTIC"].compactMap { pattern.firstRange(of: $0)?.lowerBound }
        .min().map { pattern[..<$0] }
      let isThere = stems.contains { stem in
        prefix.map { stem.hasPrefix($0 + "_") } ?? (stem == pattern)
      }
      #expect(isThere, "\(pattern) of \(command)")
    }
  }
}
