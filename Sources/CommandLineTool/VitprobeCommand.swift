import ArgumentParser
import Glibc
import Models
import VitProbe

@main
struct VitprobeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "vitprobe",
    abstract: "Representation diagnostics of vision models.",
    discussion: HelpText.examples(
      [
        .init("demo", "every analysis on the bundled checkpoints and images"),
        .init("run deit.pth --data val -o out", "CKA, Fourier and variance in one forward pass"),
        .init(
          "fourier A=demo:vit B=demo:resnet --limit 256", "two subjects under names of their own"),
        .init("models resnet50", "an architecture and the names of its layers"),
      ],
      after: """
        SUBJECT is [LABEL=][ARCH@]SOURCE. SOURCE is a checkpoint (.safetensors, .pth, a Hugging Face \
        folder), a feature file, demo:NAME, or random[:SEED].
        """),
    version: VitProbeVersion.current,
    subcommands: Analyses.commands + [
      HessianCommand.self, LandscapeCommand.self, TrajectoryCommand.self, LesionCommand.self,
      RobustnessCommand.self,
      RunCommand.self,
      MergeCommand.self, ReportCommand.self,
      CaptureCommand.self,
      DemoCommand.self,
      ModelsCommand.self,
      InspectCommand.self, CheckCommand.self,
      ConvertCommand.self,
    ])

  static var commandNames: [String] { configuration.subcommands.map { $0._commandName } }

  /// `--threads -3` as `--threads=-3`: a number is never an option, and what is wrong with it is for the
  /// option to say.
  private static func joiningNumbers(_ arguments: [String]) -> [String] {
    arguments.reduce(into: []) { words, word in
      let isNumber = word.hasPrefix("-") && word.dropFirst().first?.isNumber == true
      if isNumber, let last = words.last, last.hasPrefix("--"), last.count > 2, !last.contains("=")
      {
        words[words.count - 1] = last + "=" + word
      } else {
        words.append(word)
      }
    }
  }

  /// - Throws: `ValidationError` for a command that there is not, with the nearest ones.
  private static func checkCommand(_ arguments: [String]) throws {
    let known = commandNames + ["help"]
    guard let word = arguments.first, !word.hasPrefix("-"), !known.contains(word) else { return }
    let question = NearMatch.question(word, among: known)
    throw ValidationError(
      "there is no command \"\(word)\"" + (question.isEmpty ? "" : ". \(question)"))
  }

  /// Errors of the libraries become one message on stderr and the exit code of their kind.
  static func main() {
    // A reader that goes away is seen where something is written; half-done files are tidied up.
    signal(SIGPIPE, SIG_IGN)
    // Where a standard descriptor is closed, the next file opened would take its number, and what is
    // printed would go into that file.
    for descriptor in Int32(0)...2 where fcntl(descriptor, F_GETFD) < 0 {
      _ = open("/dev/null", O_RDONLY)
    }
    do {
      let arguments = joiningNumbers(Array(CommandLine.arguments.dropFirst()))
      try checkCommand(arguments)
      var command = try parseAsRoot(arguments)
      try command.run()
      Launch.leave()
    } catch let error where error is ExitCode || error is ValidationError || error is CleanExit {
      Launch.leave()
      if error is ValidationError { Terminal.object(.usage, Self.message(for: error)) }
      exit(withError: error)
    } catch let refusal as LaunchRefusal {
      if !refusal.isSaid { Terminal.failure(VitProbeError(.usage, refusal.message)) }
      exit(withError: ExitCode(VitProbeError.Kind.usage.rawValue))
    } catch let failure as RankFailure {
      if failure.message != nil { Terminal.failure(VitProbeError(failure.kind, "\(failure)")) }
      if failure.isKnownToAll { Launch.leave() } else { Launch.abort(code: failure.kind.rawValue) }
      exit(withError: ExitCode(failure.kind.rawValue))
    } catch {
      if Self.exitCode(for: error) == .validationFailure || "\(type(of: error))" == "CommandError" {
        if Launch.leavesItToTheFirst() { Glibc.exit(VitProbeError.Kind.usage.rawValue) }
        if Self.exitCode(for: error) == .validationFailure {
          Terminal.object(.usage, Self.message(for: error))
        }
        exit(withError: error)
      }
      let failure = VitProbeError(error)
      Terminal.failure(failure)
      Launch.leave()
      exit(withError: ExitCode(failure.kind.rawValue))
    }
  }
}
