import Checkpoints
import Models
import Reports
import StrictJSON

/// What a checkpoint or feature file holds, as far as it can be told without running anything.
public struct Inspection: Sendable {
  private let checkpoint: Checkpoint
  private let detection: Detection

  private enum Detection: Sendable {
    case model(LoadReport)
    case features(FeatureSubject)
    case graph(ExportedProgram, Result<LoadedGraph, ModelError>)
    case unknown(String)
  }

  /// Opens a file or folder.
  ///
  /// - Throws: `CheckpointError` if it cannot be read; an unknown architecture is no error.
  public init(_ path: String, selection: WeightsSelection = WeightsSelection()) throws {
    checkpoint = try Checkpoint.open(path, entry: selection.entry)
    if let program = checkpoint.program {
      let overrides = try GraphSideFile(beside: path)?.overrides ?? GraphOverrides()
      detection = .graph(
        program,
        Result { [checkpoint] () throws(ModelError) in
          try GraphLoader.load(checkpoint, program, overrides: overrides) { Glob($0).matches($1) }
        })
      return
    }
    if try FeatureMetadata.marks(checkpoint) {
      detection = .features(
        try FeatureSubject(checkpoint, label: nil, defaultLabel: lastComponent(path)))
      return
    }
    do {
      detection = .model(try ModelLoader.load(checkpoint, selection: selection).report)
    } catch {
      detection = .unknown(error.description)
    }
  }

  /// Format, architecture, key mapping and what does not fit.
  public var facts: Table {
    var table = Table("file", columns: [.text("what"), .text("value")])
    func row(_ what: String, _ value: String) { table.append([.text(what), .text(value)]) }
    row("format", checkpoint.format.rawValue)
    row("files", checkpoint.files.joined(separator: ", "))
    row("tensors", "\(checkpoint.tensors.count)")
    row("values", "\(checkpoint.tensors.reduce(0) { $0 + $1.count })")
    switch detection {
    case .unknown(let reason):
      row("architecture", "not recognised: \(reason)")
      for note in checkpoint.notes { row("note", note) }
    case .graph(let program, let loaded):
      let operations = GraphOperations(program)
      row("written by", "\(program.writer.program), \(program.writer.language)")
      row("operations", "\(program.nodes.count), of \(operations.entries.count) kinds")
      row("modules", "\(program.modules.count)")
      switch loaded {
      case .failure(let error): row("cannot be run", error.description)
      case .success(let graph):
        row(
          "input",
          "[N, \(graph.network.inputShape.channels), \(graph.network.inputShape.height), \(graph.network.inputShape.width)]"
        )
        if let classes = graph.network.classCount { row("classes", "\(classes)") }
        if !graph.joined.isEmpty {
          row(
            "joined steps",
            graph.joined.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
              .joined(separator: ", "))
        }
        for source in graph.report.provenance {
          row(source.source.rawValue, "\(source.parameter)=\(source.value)")
        }
        for warning in graph.report.warnings { row("note", warning) }
      }
    case .features(let subject):
      row("contents", subject.summary)
      for note in subject.notes { row("note", note) }
    case .model(let report):
      row("architecture", report.architecture)
      row(
        "variants",
        report.candidates.isEmpty ? "none by name" : report.candidates.joined(separator: ", "))
      row(
        "key names", report.keyMapping + (report.prefix.isEmpty ? "" : ", prefix \(report.prefix)"))
      for source in ParameterProvenance.Source.allCases where source != .weights {
        let told = report.provenance.filter { $0.source == source }
        guard !told.isEmpty else { continue }
        row(source.rawValue, told.map { "\($0.parameter)=\($0.value)" }.joined(separator: ", "))
      }
      row("matched", "\(report.matched)")
      row("ignored", report.ignored.isEmpty ? "0" : "\(report.ignored.count)")
      row("unmatched", "\(report.unused.count)")
      for group in report.unusedGroups { row(group.reason, group.names.joined(separator: ", ")) }
      if !report.ignoredOnRequest.isEmpty {
        row("ignored on request", report.ignoredOnRequest.joined(separator: ", "))
      }
      for warning in report.warnings { row("warning", warning) }
    }
    if let torch = checkpoint.torch, torch.entries.count > 1 {
      for entry in torch.entries { row("entry \(entry.name)", "\(entry.tensors) tensors") }
    }
    for (key, value) in checkpoint.metadata.sorted(by: { $0.key < $1.key }) {
      row("metadata \(key)", value.count > 120 ? String(value.prefix(117)) + "…" : value)
    }
    return table
  }

  /// A row a kind of operation of an exported graph: how often, whether it is known, and where it stands; nil for
  /// what is no graph.
  public var operations: Table? {
    guard case .graph(let program, _) = detection else { return nil }
    var table = Table(
      "operations",
      columns: [.text("operation"), .integer("times"), .text("known"), .text("modules")])
    for entry in GraphOperations(program).entries {
      let shown = entry.modules.prefix(3).joined(separator: ", ")
      table.append([
        .text(entry.name), .integer(entry.count), .text(entry.isKnown ? "yes" : "no"),
        .text(entry.modules.count > 3 ? shown + ", …" : shown),
      ])
    }
    return table
  }

  /// A row a tensor.
  ///
  /// - Parameters:
  ///   - values: whether every value is looked at.
  public func tensors(withValues values: Bool) throws -> Table {
    var columns: [Column] = [
      .text("tensor"), .text("dtype"), .text("shape"), .integer("bytes"),
    ]
    if values { columns += [.real("min"), .real("max"), .real("mean"), .integer("not_finite")] }
    var table = Table("tensors", columns: columns)
    for tensor in checkpoint.tensors {
      var row: [Cell] = [
        .text(tensor.name), .text(tensor.dtype.rawValue),
        .text(tensor.shape.map(String.init).joined(separator: " x ")),
        .integer(tensor.byteCount),
      ]
      if values {
        guard tensor.dtype.isConvertible else {
          table.append(row + [.empty, .empty, .empty, .empty])
          continue
        }
        var (low, high, sum) = (Float.infinity, -Float.infinity, 0.0)
        var (finite, bad) = (0, 0)
        for value in try tensor.floats() {
          if value.isFinite {
            low = min(low, value)
            high = max(high, value)
            sum += Double(value)
            finite += 1
          } else {
            bad += 1
          }
        }
        row += [
          Cell(finite > 0 ? Double(low) : nil), Cell(finite > 0 ? Double(high) : nil),
          Cell(finite > 0 ? sum / Double(finite) : nil), .integer(bad),
        ]
      }
      table.append(row)
    }
    return table
  }

  /// Everything, as members of an object.
  public func json(tensors: Table) -> [JSONValue.Member] {
    var members: [JSONValue.Member] = [
      .init("format", .string(checkpoint.format.rawValue)),
      .init("files", .array(checkpoint.files.map(JSONValue.string))),
    ]
    switch detection {
    case .unknown(let reason): members.append(.init("not_recognised", .string(reason)))
    case .features(let subject): members.append(.init("features", subject.description))
    case .graph(let program, let loaded):
      switch program.writer {
      case .torch(let version, let schema):
        members += [.init("schema", .string(schema)), .init("torch", .string(version))]
      case .onnx(let producer, let opset):
        members += [.init("opset", .integer(opset)), .init("producer", .string(producer))]
      }
      members.append(.init("operations", operations?.json ?? .null))
      switch loaded {
      case .failure(let error): members.append(.init("not_runnable", .string(error.description)))
      case .success(let graph):
        let input = graph.network.inputShape
        members += [
          .init(
            "input",
            .array([.integer(input.height), .integer(input.width), .integer(input.channels)])),
          .init("classes", graph.network.classCount.map(JSONValue.integer) ?? .null),
          .init("warnings", .array(graph.report.warnings.map(JSONValue.string))),
        ]
      }
    case .model(let report):
      members += [
        .init("architecture", .string(report.architecture)),
        .init("variants", .array(report.candidates.map(JSONValue.string))),
        .init("key_mapping", .string(report.keyMapping)),
        .init("matched", .integer(report.matched)),
        .init("ignored", .array(report.ignored.map(JSONValue.string))),
        .init("unmatched", .array(report.unmatched.map(JSONValue.string))),
        .init("ignored_on_request", .array(report.ignoredOnRequest.map(JSONValue.string))),
        .init("entry", .string(report.entry)), .init("prefix", .string(report.prefix)),
        .init("warnings", .array(report.warnings.map(JSONValue.string))),
      ]
    }
    members.append(
      .init("metadata", .sorted(checkpoint.metadata.mapValues(JSONValue.string))))
    members.append(.init("tensors", tensors.json))
    return members
  }
}
