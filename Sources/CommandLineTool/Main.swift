import ArgumentParser

@main
struct VitprobeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "vitprobe")
}
