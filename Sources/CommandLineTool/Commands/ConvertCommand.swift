import ArgumentParser
import Checkpoints
import VitProbe

/// `vitprobe convert`
struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Write the tensors of a checkpoint as safetensors or .npz.",
    discussion: HelpText.examples([.init("convert deit.pth deit.safetensors", "")]))

  @Argument(
    help: ArgumentHelp("A .pth, .pt, .bin, .npz or safetensors file, or a Hugging Face folder."),
    completion: .file())
  var file: String

  @Argument(
    help: ArgumentHelp("The file to write, .safetensors or .npz.", valueName: "OUT"),
    completion: .file())
  var out: String

  @Flag(help: "Take averaged (EMA) weights, and refuse a file without.")
  var ema = false

  @Option(
    help: ArgumentHelp("Which dictionary of tensors of a training file.", valueName: "KEY"))
  var entry: String?

  @Flag(help: "Replace the output if it exists.")
  var force = false

  func validate() throws {
    if ema, entry != nil { throw ValidationError("--ema and --entry exclude each other") }
  }

  func run() throws {
    let conversion = try Conversion(
      file, entry: ema ? .averaged : entry.map(CheckpointEntry.named) ?? .automatic)
    let count = try conversion.write(to: out, replacing: force)
    for note in conversion.notes(writing: out) { Terminal.note(note) }
    Terminal.data("\(count) tensors in \(out)\n")
  }
}
