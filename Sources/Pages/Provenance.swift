import Reports
import StrictJSON

/// Where numbers come from, what was assumed on the way, and what nobody has checked.
struct Provenance {
  let run: RunResults
  /// Views of which the run has no table.
  let absent: [View]

  private var manifest: JSONValue { run.run.manifest }

  func write(into page: inout HTML) {
    page.element("h3", run.title)
    page.markup("<dl>")
    func entry(_ term: String, _ words: String, isCode: Bool = false) {
      page.element("dt", term)
      page.markup("<dd>")
      page.element(isCode ? "code" : "span", words)
      page.markup("</dd>\n")
    }
    let words = (manifest["arguments"]?.arrayValue ?? []).compactMap(\.stringValue)
    entry("command", (["vitprobe"] + words.map(Self.quoted)).joined(separator: " "), isCode: true)
    entry("folder", run.run.path, isCode: true)
    entry("version", manifest["version"]?.stringValue ?? "not said")
    entry(
      "settings (SHA-256)", manifest["run"]?["settings_sha256"]?.stringValue ?? "not said",
      isCode: true)
    entry("run.json (SHA-256)", run.run.digest, isCode: true)
    entry("images", manifest["n_images"]?.compact ?? "not said")
    entry("seed", manifest["seed"]?.compact ?? "not said")
    let kernels = (manifest["kernels"]?.arrayValue ?? []).compactMap(\.stringValue)
    entry(
      "computed on",
      "\(manifest["threads"]?.compact ?? "?") threads, "
        + "\(manifest["ranks"]?.compact ?? "1") process(es), \(kernels.joined(separator: ", "))")
    entry("time", manifest["wall_seconds"]?.doubleValue.map { "\(shown($0)) s" } ?? "not said")
    page.markup("</dl>\n")
    models(into: &page)
    files(into: &page)
    list("Said by the run (assumptions among it)", strings("notes"), into: &page)
    list(
      "Images left out",
      (manifest["skipped"]?.arrayValue ?? []).map {
        "\($0["image"]?.stringValue ?? "?"): \($0["reason"]?.stringValue ?? "?")"
      }, into: &page)
    list("Not verified", unverified, into: &page)
    page.markup("<details><summary>Configuration as resolved</summary><pre>")
    page.markup(Self.lines(manifest["configuration"]?.pretty ?? "none"))
    page.markup("</pre></details>\n")
  }

  private func strings(_ name: String) -> [String] {
    (manifest[name]?.arrayValue ?? []).compactMap(\.stringValue)
  }

  private func models(into page: inout HTML) {
    let subjects = manifest["configuration"]?["subjects"]?.arrayValue ?? []
    guard !subjects.isEmpty else { return }
    page.table(["model", "source", "architecture", "parameters", "names", "unused tensors"])
    for subject in subjects {
      page.row([
        .text(subject["label"]?.stringValue ?? "?"), .code(subject["source"]?.stringValue ?? "?"),
        .code(subject["architecture"]?.stringValue ?? "–"),
        .text(subject["parameters"]?.compact ?? "–"),
        .text(subject["key_mapping"]?.stringValue ?? "–"),
        .text("\(subject["unused_tensors"]?.arrayValue?.count ?? 0)"),
      ])
    }
    page.endTable()
  }

  private func files(into page: inout HTML) {
    page.table(["file", "size", "SHA-256", "state"])
    for input in manifest["inputs"]?.arrayValue ?? [] {
      page.row([
        .code(input["path"]?.stringValue ?? "?"), .text(input["size"]?.compact ?? "?"),
        .code(input["sha256"]?.stringValue ?? "?"), .text("read by the run; not read again"),
      ])
    }
    for file in run.run.files {
      let (state, name): (String, String) =
        switch file.state {
        case .asWritten: ("as the run wrote it", "")
        case .changed(let digest): ("CHANGED since: now \(digest)", "class=\"changed\"")
        case .missing: ("MISSING", "class=\"changed\"")
        }
      page.row(
        [
          .code(file.output.name), .text("\(file.output.size)"), .code(file.output.sha256),
          .text(state),
        ], attributes: name)
    }
    page.endTable()
  }

  private func list(_ title: String, _ entries: [String], into page: inout HTML) {
    page.element("h4", title)
    guard !entries.isEmpty else {
      page.element("p", "none", "class=\"note\"")
      return
    }
    page.markup("<ul>")
    for entry in entries { page.element("li", entry) }
    page.markup("</ul>\n")
  }

  /// What the numbers rest on and nothing here has looked at.
  private var unverified: [String] {
    var list = [
      "Inputs were not read again: whether the files are still those of the digests above is not known.",
      "Numbers were not computed again: tables are taken as they stand in the folder.",
      "One checkpoint a model: intervals are over images or minibatches, not over trainings.",
    ]
    if run.table("cka") != nil {
      list.append(
        "CKA is compared with no null: how high it would be for unrelated layers is not known.")
    }
    if !["metrics", "lesion", "robustness", "landscape"].contains(where: { run.table($0) != nil }) {
      list.append("No accuracy was measured: whether weights and preprocessing fit is not known.")
    }
    for (model, entry) in (manifest["configuration"]?["classes"]?.objectValue ?? []).map({
      ($0.name, $0.value)
    }) {
      if let basis = entry["basis"]?.stringValue, basis != "numbers" {
        list.append("\(model): outputs were matched with classes by \(basis).")
      }
    }
    let data = manifest["configuration"]?["data"]
    if let count = data?["images"]?.intValue {
      let order = data?["shuffle_seed"]?.intValue == nil ? "the first" : "a shuffled sample of"
      list.append("Data: \(order) \(count) images; whether they stand for others is not known.")
    }
    if !absent.isEmpty {
      list.append("Not looked at: " + absent.map(\.title).joined(separator: ", ") + ".")
    }
    return list
  }

  /// An argument as a shell takes it.
  private static func quoted(_ word: String) -> String {
    let plain = word.unicodeScalars.allSatisfy {
      $0.isASCII
        && ($0.properties.isAlphabetic || $0.properties.numericType != nil
          || "-_./=:@,+%".unicodeScalars.contains($0))
    }
    return plain && !word.isEmpty
      ? word
      : "'"
        + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
        + "'"
  }

  /// Text of several lines.
  private static func lines(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { String($0).markup }
      .joined(separator: "\n")
  }
}
