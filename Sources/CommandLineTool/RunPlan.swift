import Reports
import StrictJSON
import VitProbe

/// What `--dry-run` prints: rows for a person, members of an object for a program.
struct RunPlan {
  private var table = Table("plan", columns: [.text("what"), .text("value")])
  private(set) var members: [JSONValue.Member]

  /// A plan for subjects: how images are prepared for each.
  init(_ subjects: [any Subject], images: String) {
    members = [
      .init(
        "subjects",
        .array(
          subjects.map { subject in
            [
              "label": .string(subject.label),
              "architecture": subject.architecture.map(JSONValue.string) ?? .null,
              "preprocessing": subject.description["preprocessing"] ?? .null,
            ]
          }))
    ]
    row("images", images)
    for case let model as ModelSubject in subjects {
      row("images: \(model.label)", model.preparation)
    }
  }

  mutating func row(_ what: String, _ value: String) {
    table.append([.text(what), .text(value)])
  }

  mutating func add(_ name: String, _ value: JSONValue) { members.append(.init(name, value)) }

  /// Memory, and what it is of.
  ///
  /// - Parameter kept: what stands beside the values of a pass, in words.
  mutating func memory(_ estimate: RunEstimate, kept: String) {
    row("parameters", mebibytes(estimate.parameterBytes))
    row("one forward pass", mebibytes(estimate.passBytes))
    row(kept, mebibytes(estimate.analysisBytes))
    row("peak memory", mebibytes(estimate.totalBytes))
    add("workers", .integer(estimate.workers))
    add("peak_memory_bytes", .integer(estimate.totalBytes))
    add("parameter_bytes", .integer(estimate.parameterBytes))
    add("pass_bytes", .integer(estimate.passBytes))
    add("analysis_bytes", .integer(estimate.analysisBytes))
  }

  /// For a person.
  var text: String { table.plainText(width: Terminal.width()) }
}
