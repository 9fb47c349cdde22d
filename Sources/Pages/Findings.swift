import Diagnostics
import Reports

/// A sentence about the runs that a rule gave, with the rule and where its evidence is.
struct Finding: Equatable {
  enum Weight: String {
    /// Something that numbers below cannot be trusted without.
    case warning
    /// Something that the numbers say.
    case result
  }

  let weight: Weight
  let text: String
  /// The rule in words, with its threshold.
  let rule: String
  /// The view that shows it.
  let view: String
  /// The layer that it is about.
  var key: Int?
}

/// What rules with stated thresholds say of one run.
struct Findings {
  let run: RunResults
  let layers: LayerIndex

  /// Warnings first.
  var all: [Finding] {
    get throws(ResultsError) {
      let found =
        [integrity].compactMap(\.self) + (try readOuts) + (try statuses) + (try fewBatches)
        + (try likeness) + (try steps("fourier")) + (try steps("variance")) + (try evenHeads)
        + (try curvature) + (try lesions) + (try losses)
      return found.filter { $0.weight == .warning } + found.filter { $0.weight == .result }
    }
  }

  private var integrity: Finding? {
    let changed = run.run.files.filter { $0.state != .asWritten }.map(\.output.name)
    guard !changed.isEmpty else { return nil }
    return Finding(
      weight: .warning,
      text: "\(changed.count) file\(changed.count == 1 ? " is" : "s are") not as the run wrote "
        + "\(changed.count == 1 ? "it" : "them"): " + changed.joined(separator: ", "),
      rule: "SHA-256 of each file against run.json", view: "provenance")
  }

  private var readOuts: [Finding] {
    get throws(ResultsError) {
      guard let table = run.table("metrics") else { return [] }
      let (models, statuses) = (try table.models(), try table.texts("status"))
      let (accuracy, error) = (try table.numbers("acc"), try table.numbers("ece"))
      var found: [Finding] = []
      let low = models.indices.filter { statuses[$0].contains("at_chance") }
      if !low.isEmpty {
        found.append(
          Finding(
            weight: .warning, text: "Accuracy at chance: " + names(low.map { models[$0] }),
            rule: "status at_chance: at most two standard deviations above a guess", view: "metrics"
          ))
      }
      let known = models.indices.compactMap { row in accuracy[row].map { (models[row], $0) } }
      if let best = known.max(by: { $0.1 < $1.1 }), let worst = known.min(by: { $0.1 < $1.1 }) {
        let span =
          known.count == 1 ? "" : ", the lowest \(percent(worst.1)) (\(worst.0))"
        found.append(
          Finding(
            weight: .result, text: "Accuracy \(percent(best.1)) (\(best.0))\(span)",
            rule: "the extremes of acc, \(try table.imageCount(in: "n"))", view: "metrics"))
      }
      let wrong = models.indices.filter { (error[$0] ?? 0) > 0.05 }
      if !wrong.isEmpty {
        found.append(
          Finding(
            weight: .result,
            text: "Probabilities are off by more than 5 points on average: "
              + names(wrong.map { models[$0] }), rule: "ece > 0.05", view: "metrics"))
      }
      return found
    }
  }

  /// Values that do not exist, or that come with a reservation.
  private var statuses: [Finding] {
    get throws(ResultsError) {
      var found: [Finding] = []
      for view in View.all where view.id != "metrics" {
        for name in view.tables {
          guard let table = run.table(name), table.has("status") else { continue }
          let usual: Set = [
            "ok", "first_layer", "single_head", "shape_change", "labels_as_sorted", "no_place",
            "from_middle", "one_query",
          ]
          let odd = RowGroup.of(Array(table.rows.indices), by: try table.texts("status"))
            .filter { !usual.contains($0.value) }
          guard !odd.isEmpty else { continue }
          let text = odd.map { "\($0.value) in \($0.rows.count)" }.joined(separator: ", ")
          found.append(
            Finding(
              weight: .warning, text: "\(name).csv: \(text) of \(table.rows.count) rows",
              rule: "every status but ok and those that follow from the architecture", view: view.id
            ))
        }
      }
      return found
    }
  }

  private var fewBatches: [Finding] {
    get throws(ResultsError) {
      guard let table = run.table("cka"),
        let least = try table.numbers("n_batches")
          .compactMap(\.self).min(), least < 8
      else { return [] }
      return [
        Finding(
          weight: .warning,
          text: "Intervals of CKA rest on \(whole(least)) minibatch\(least == 1 ? "" : "es")",
          rule: "fewer than 8 minibatches to resample", view: "cka")
      ]
    }
  }

  /// Neighbouring layers that are nearly the same, and the most similar layers of two models.
  private var likeness: [Finding] {
    get throws(ResultsError) {
      var alike: (text: String, key: Int?, value: Double)?
      var steps: [(text: String, key: Int?)] = []
      for pair in try LayerSimilarities.all(of: run.source("cka", layers)) {
        let (map, rows) = (pair.map, pair.map.values)
        if pair.a == pair.b {
          let same = rows.indices.dropLast().filter { row in
            rows[row].indices.contains(row + 1) && (rows[row][row + 1] ?? 0) > 0.98
          }
          if rows.count > 1 {
            steps.append(
              (
                "\(pair.a) \(same.count) of \(rows.count - 1)",
                key(same.first.flatMap { map.keys?.rows[$0] })
              ))
          }
          continue
        }
        for (i, row) in rows.enumerated() {
          for (j, value) in row.enumerated() {
            guard let value, value > alike?.value ?? -.infinity else { continue }
            alike = (
              "\(pair.a) \(map.rowNames[i]) and \(pair.b) \(map.columnNames[j])",
              key(map.keys?.rows[i]), value
            )
          }
        }
      }
      var found: [Finding] = []
      if !steps.isEmpty {
        found.append(
          Finding(
            weight: .result,
            text: "Steps between neighbouring blocks that change little: "
              + steps.map(\.text).joined(separator: ", "),
            rule: "CKA of neighbours > 0.98", view: "cka", key: steps.lazy.compactMap(\.key).first))
      }
      if let alike {
        found.append(
          Finding(
            weight: .result,
            text: "Most alike of two models: \(alike.text), CKA \(shown(alike.value))",
            rule: "the largest cell, a maximum that was not compared with chance", view: "cka",
            key: alike.key))
      }
      return found
    }
  }

  private func key(_ number: Int?) -> Int? { number.flatMap { $0 < 0 ? nil : $0 } }

  /// Whether self-attentions lower what a table measures, step by step.
  private func steps(_ name: String) throws(ResultsError) -> [Finding] {
    guard let table = run.table(name) else { return [] }
    let isSpectrum = name == "fourier"
    let (names, kinds) = (try table.texts("layer_name"), try table.texts("kind"))
    let values = try table.numbers(isSpectrum ? "delta_log_amp" : "value")
    let errors = try table.numbers(isSpectrum ? "delta_se" : "se")
    var counts: [String] = []
    for group in try table.rowsByModel() {
      // Of a spectrum the highest frequency, which is the last of a layer.
      let ends = RowGroup.of(group.rows, by: names).compactMap(\.rows.last)
      var (total, down, up) = (0, 0, 0)
      for (before, after) in zip(ends, ends.dropFirst()) where kinds[after] == "msa" {
        guard let from = values[before], let to = values[after], let a = errors[before],
          let b = errors[after]
        else { continue }
        total += 1
        let margin = Point.halfWidth * (a * a + b * b).squareRoot()
        if to - from < -margin { down += 1 } else if to - from > margin { up += 1 }
      }
      if total > 0 { counts.append("\(group.value) \(down) of \(total) (\(up) raise it)") }
    }
    guard !counts.isEmpty else { return [] }
    return [
      Finding(
        weight: .result,
        text: "Self-attentions that lower "
          + "\(isSpectrum ? "the high-frequency amplitude" : "the variance of feature maps"): "
          + counts.joined(separator: ", "),
        rule: "a change beyond 1.96 of its standard error, errors taken as independent", view: name)
    ]
  }

  /// Heads that attend evenly to everything.
  private var evenHeads: [Finding] {
    get throws(ResultsError) {
      guard let table = run.table("attention") else { return [] }
      let (models, names) = (try table.models(), try table.texts("layer_name"))
      let statistics = try table.texts("statistic")
      let heads = try table.numbers(table.headColumn)
      let values = try table.numbers("value")
      let rows = table.rows.indices
      var even: [String: Double] = [:]
      for row in rows where statistics[row] == "uniform_entropy" {
        even["\(models[row])\u{0}\(names[row])"] = values[row]
      }
      let known = rows.filter {
        statistics[$0] == "entropy" && heads[$0] != nil && values[$0] != nil
      }
      let flat = known.filter { row in
        guard let value = values[row], let limit = even["\(models[row])\u{0}\(names[row])"] else {
          return false
        }
        return value > 0.98 * limit
      }
      guard let first = flat.first else { return [] }
      return [
        Finding(
          weight: .result,
          text: "\(flat.count) of \(known.count) heads attend almost evenly, the first in "
            + "\(models[first]), \(names[first])",
          rule: "entropy > 0.98 of that of even attention", view: "attention",
          key: layers.number(run.number, models[first], names[first]))
      ]
    }
  }

  private var curvature: [Finding] {
    get throws(ResultsError) {
      guard let table = run.table("hessian_summary") else { return [] }
      let (models, greatest) = (try table.models(), try table.numbers("lambda_max_mean"))
      let share = try table.numbers("nep")
      let known = models.indices.compactMap { row in greatest[row].map { (row, $0) } }
      guard let sharp = known.max(by: { $0.1 < $1.1 }) else { return [] }
      let negative = share[sharp.0].map { "; \(percent($0)) of its values are negative" } ?? ""
      return [
        Finding(
          weight: .result,
          text:
            "Sharpest loss: \(models[sharp.0]), largest eigenvalue \(shown(sharp.1))\(negative)",
          rule: "the greatest lambda_max_mean", view: "hessian")
      ]
    }
  }

  private var lesions: [Finding] {
    get throws(ResultsError) {
      guard let table = run.table("lesion") else { return [] }
      let (names, heads) = (try table.texts("layer_name"), try table.numbers("head_index"))
      let (values, low, high) = (
        try table.numbers("delta_acc_pp"), try table.numbers("ci_lo"), try table.numbers("ci_hi")
      )
      var (texts, keys): ([String], [Int?]) = ([], [])
      for group in try table.rowsByModel() {
        let branches = group.rows.filter { heads[$0] == nil && values[$0] != nil }
        guard let worst = branches.min(by: { (values[$0] ?? 0) < (values[$1] ?? 0) }),
          let value = values[worst]
        else { continue }
        let idle = branches.count { (low[$0] ?? 1) <= 0 && (high[$0] ?? -1) >= 0 }
        texts.append(
          "\(group.value) \(names[worst]) (\(shown(value)) pp; \(idle) of \(branches.count) cost nothing "
            + "that shows)")
        keys.append(layers.number(run.number, group.value, names[worst]))
      }
      guard !texts.isEmpty else { return [] }
      return [
        Finding(
          weight: .result, text: "Needed most: " + texts.joined(separator: ", "),
          rule: "the least Δ accuracy; nothing shows where its 95 % interval holds 0",
          view: "lesion",
          key: keys[0])
      ]
    }
  }

  private var losses: [Finding] {
    get throws(ResultsError) {
      guard let table = run.table("robustness") else { return [] }
      let (tests, values) = (try table.texts("test"), try table.numbers("delta_acc_pp"))
      let (places, severities) = (
        try table.numbers("f_over_pi"), try table.numbers("severity")
      )
      let texts = try table.rowsByModel().compactMap { group -> String? in
        let known = group.rows.filter { values[$0] != nil }
        guard let worst = known.min(by: { (values[$0] ?? 0) < (values[$1] ?? 0) }),
          let value = values[worst]
        else { return nil }
        let at =
          places[worst].map { "noise at \(shown($0))π" }
          ?? "\(tests[worst])" + (severities[worst].map { ", severity \(whole($0))" } ?? "")
        return "\(group.value) \(shown(value)) pp to \(at)"
      }
      guard !texts.isEmpty else { return [] }
      return [
        Finding(
          weight: .result, text: "Largest loss of accuracy: " + texts.joined(separator: ", "),
          rule: "the least delta_acc_pp", view: "robustness")
      ]
    }
  }

  private func percent(_ share: Double) -> String {
    NumberText.significant(100 * share, digits: 3) + "\u{A0}%"
  }

  private func names(_ models: [String]) -> String { models.joined(separator: ", ") }
}
