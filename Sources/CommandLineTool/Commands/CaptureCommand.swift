import ArgumentParser
import Diagnostics
import Images
import Reports
import StrictJSON
import Tensors
import VitProbe

extension FeatureFileFormat: ExpressibleByArgument {}

/// `vitprobe capture`
struct CaptureCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "capture",
    abstract: "The features themselves, a tensor a layer, in a file for other software too.",
    discussion: HelpText.examples(
      [
        .init("capture demo:vit --limit 64 -o f", "the state after each half-block"),
        .init("capture deit.pth --data val --layers 'blocks.*.attn_map'", "attention maps"),
      ],
      after: """
        Tokens are stored [N, T, C], maps [N, C, H, W], vectors [N, C], in 32-bit floats, with image \
        ids, labels and the kinds of layers as metadata. The file is a SUBJECT of cka, fourier, \
        variance and run.
        """))

  @Argument(help: "A model, [LABEL=][ARCH@]SOURCE.", completion: Completion.subjects)
  var subject: String

  @Option(help: "The file: safetensors or npz.")
  var format = FeatureFileFormat.safetensors

  @OptionGroup(title: "Layers") var layers: LayerOptions
  @OptionGroup(title: "Run") var options: RunOptions
  @OptionGroup(title: "Output") var output: FolderOptions

  func run() throws {
    try output.apply()
    let path = output.path(for: "capture")
    guard path != "-" else {
      throw ValidationError("-o -: features are no CSV; name a folder")
    }
    let prepared = try options.job([subject], analyses: [], layers: layers)
      .prepareCapture(as: format)
    let capture = prepared.capture
    Terminal.note("\(capture.subject.label): \(capture.subject.summary)")
    for note in capture.subject.notes + capture.notes { Terminal.note("note: \(note)") }
    Terminal.note("\(capture.data.name): \(capture.data.count) images")
    let estimate = try capture.estimate()
    let plan = plan(capture, estimate)
    if options.dryRun, !output.json { Terminal.data(plan.text) }
    try capture.checkSizes(all: options.dryRun)
    try options.checkMemory(estimate)
    if options.dryRun {
      if output.json { Terminal.json(plan.members) }
      return
    }
    let bar = ProgressBar(unit: "images", isEnabled: !output.noProgress)
    let (outcome, files) = try prepared.run(
      to: path, replace: output.replace, force: output.force, opened: { $0.sayWhatIsReplaced() },
      elapsed: { bar.elapsed }
    ) {
      bar.update($0, of: $1)
    }
    bar.finish()
    for note in outcome.notes { Terminal.note("note: \(note)") }
    for image in outcome.skipped { Terminal.note("skipped \(image.id): \(image.reason)") }
    if output.json {
      Terminal.json([
        .init("data", .string(capture.data.name)), .init("images", .integer(outcome.images)),
        .init("skipped", .integer(outcome.skipped.count)), .init("output", .string(path)),
        .init("files", .array(files.map(JSONValue.string))),
        .init("layers", .array(capture.taps.map { .string($0.tap.name) })),
      ])
    } else {
      Terminal.data(
        "\(capture.taps.count) layers of \(outcome.images) images in "
          + "\(path)/\(format.fileName)\n")
    }
    Terminal.cost(seconds: bar.elapsed)
    if !outcome.skipped.isEmpty { throw ExitCode(1) }
  }

  private func plan(_ capture: FeatureCapture, _ estimate: RunEstimate) -> RunPlan {
    var plan = RunPlan([capture.subject], images: "\(estimate.images)")
    plan.row("minibatches", "\(capture.batchCount)")
    plan.row("layers", "\(capture.taps.count)")
    plan.row(
      "size of the file", capture.byteCount.map(mebibytes) ?? "more than any disk holds")
    plan.add("data", .string(capture.data.name))
    plan.add("images", .integer(estimate.images))
    plan.add("batches", .integer(capture.batchCount))
    plan.add("layers", .array(capture.taps.map { .string($0.tap.name) }))
    plan.add("file_bytes", capture.byteCount.map(JSONValue.integer) ?? .null)
    plan.memory(estimate, kept: "kept beside it")
    return plan
  }
}
