import Reports
import StrictJSON
import TestSupport

/// Runs of hand-written tables.
struct SampleRuns {
  let scratch = Scratch()

  /// A run with the given tables, read back.
  func run(
    _ name: String, labels: [String], _ tables: [(name: String, csv: String)],
    notes: [String] = []
  ) throws -> FinishedRun {
    try FinishedRun(reading: try folder(name, labels: labels, tables, notes: notes))
  }

  func folder(
    _ name: String, labels: [String], _ tables: [(name: String, csv: String)],
    notes: [String] = []
  ) throws -> String {
    let path = scratch.file(name)
    let folder = try OutputFolder(
      path, identity: RunIdentity(command: "run", settingsSHA256: Digest.sha256(name.utf8)))
    for (name, csv) in tables { try folder.write(csv, to: "\(name).csv") }
    let subjects = labels.map { label -> JSONValue in
      ["label": .string(label), "source": .string(label), "architecture": "vit(depth=2)"]
    }
    var manifest = Manifest(
      version: "9", arguments: ["run", labels.joined(separator: " ")],
      configuration: ["subjects": .array(subjects)], seed: 0, imageCount: 10, threads: 1)
    manifest.notes = notes
    try folder.commit(manifest)
    return path
  }

  /// A row of names, then rows of fields, quoted where they must be.
  static func csv(_ columns: String, _ rows: [[String]]) -> String {
    let names = columns.split(separator: ",").map(String.init)
    return Table(
      "t", columns: names.map { .text($0) }, rows: rows.map { $0.map { Cell.text($0) } }
    ).csv
  }

  /// `variance.csv` of one model: (layer, kind, value, standard error).
  static func variance(_ model: String, _ layers: [(String, String, Double, Double)]) -> String {
    csv(
      "model,layer_index,layer_name,kind,depth,variant,n_images,n_maps,value,se,status",
      layers.enumerated().map { index, layer in
        [
          model, "\(index)", layer.0, layer.1, "\(Double(index) / Double(layers.count - 1))",
          "spatial", "10", "40", "\(layer.2)", "\(layer.3)", "ok",
        ]
      })
  }

  /// `cka.csv` within one model.
  static func cka(_ model: String, _ layers: [String], _ values: [[Double]], batches: Int = 8)
    -> String
  {
    var rows: [[String]] = []
    for (i, a) in layers.enumerated() {
      for (j, b) in layers.enumerated() {
        rows.append([
          model, "\(i)", a, "0", model, "\(j)", b, "1", "flatten", "linear", "unbiased", "64", "8",
          "\(batches)", "\(values[i][j])", "\(values[i][j] - 0.1)", "\(values[i][j] + 0.1)", "1",
          "1", "1", "ok",
        ])
      }
    }
    return csv(
      "model_a,layer_a_index,layer_a_name,depth_a,model_b,layer_b_index,layer_b_name,depth_b,rows,kernel,"
        + "estimator,n_images,batch_size,n_batches,cka,ci_lo,ci_hi,hsic_ab,hsic_aa,hsic_bb,status",
      rows)
  }
}

/// The tables of the demo.
enum Demo {
  static let folder =
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    .joined(separator: "/") + "/notebooks-data/demo"
}

extension String {
  /// How often a text stands in this one.
  func occurrences(of text: String) -> Int { ranges(of: text).count }
}
