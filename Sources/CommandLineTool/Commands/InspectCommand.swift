import ArgumentParser
import Checkpoints
import Models
import Reports
import StrictJSON
import VitProbe

/// `vitprobe inspect`
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "What a checkpoint or feature file holds: format, architecture, tensors.",
    discussion: HelpText.examples([
      .init("inspect deit.pth", "what it is taken for, and what is not used"),
      .init("inspect deit.pth --values", "with the range of every tensor"),
    ]))

  @Argument(
    help: "A checkpoint, a feature file or a Hugging Face folder.", completion: .file())
  var file: String

  @Flag(help: "Look at every value too: range, NaN and infinities.")
  var values = false

  @Flag(help: "Take averaged (EMA) weights, and refuse a file without.")
  var ema = false

  @OptionGroup var weights: WeightsOptions

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    if ema, weights.entry != nil {
      throw ValidationError("--ema and --entry exclude each other")
    }
  }

  func run() throws {
    var selection = weights.selection
    if ema { selection.entry = .averaged }
    let inspection = try Inspection(file, selection: selection)
    let tensors = try inspection.tensors(withValues: values)
    if json {
      Terminal.json(inspection.json(tensors: tensors))
    } else {
      let width = Terminal.width()
      Terminal.data(
        SettingFlags.naming(inspection.facts.plainText(limit: 400, width: width)) + "\n")
      if let operations = inspection.operations {
        Terminal.data(operations.plainText(limit: 400, width: width) + "\n")
      }
      Terminal.data(tensors.plainText(limit: 2000, width: width))
    }
  }
}
