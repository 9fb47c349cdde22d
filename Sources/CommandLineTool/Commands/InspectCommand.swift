import ArgumentParser
import Reports
import StrictJSON
import VitProbe

/// `vitprobe inspect`
struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "What a checkpoint or feature file holds: format, architecture, tensors.")

  @Argument(help: "A checkpoint, a feature file or a Hugging Face folder.")
  var file: String

  @Flag(help: "Look at every value too: range, NaN and infinities.")
  var values = false

  @Flag(help: "Take the averaged (EMA) weights of a training file.")
  var ema = false

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let inspection = try Inspection(file, preferringEMA: ema)
    let tensors = try inspection.tensors(withValues: values)
    if json {
      Terminal.data(inspection.json(tensors: tensors).pretty)
    } else {
      Terminal.data(inspection.facts.plainText(limit: 400) + "\n" + tensors.plainText(limit: 2000))
    }
  }
}
