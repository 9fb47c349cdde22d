import ArgumentParser
import VitProbe

/// `vitprobe convert`
struct ConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Write the tensors of a .pth or .npz file as safetensors.")

  @Argument(
    help: ArgumentHelp("A .pth, .pt, .bin, .npz or safetensors file, or a Hugging Face folder."))
  var file: String

  @Argument(help: ArgumentHelp("The file to write.", valueName: "OUT.safetensors"))
  var out: String

  @Flag(help: "Take the averaged (EMA) weights of a training file.")
  var ema = false

  @Flag(help: "Replace the output if it exists.")
  var force = false

  func run() throws {
    let count = try Conversion(file, preferringEMA: ema).write(to: out, replacing: force)
    Terminal.data("\(count) tensors in \(out)\n")
  }
}
