import ArgumentParser
import Glibc
import VitProbe

@main
struct VitprobeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "vitprobe",
    abstract: "Representation diagnostics of vision models.",
    discussion: """
      SUBJECT is [LABEL=][ARCH@]SOURCE. SOURCE is a checkpoint (.safetensors, .pth, a Hugging Face \
      folder), a feature file, demo:NAME, or random[:SEED].
      """,
    version: VitProbeVersion.current,
    subcommands: Analyses.commands + [
      HessianCommand.self, LandscapeCommand.self, LesionCommand.self, RobustnessCommand.self,
      RunCommand.self,
      MergeCommand.self, ReportCommand.self,
      CaptureCommand.self,
      DemoCommand.self,
      ModelsCommand.self,
      InspectCommand.self, CheckCommand.self,
      ConvertCommand.self,
    ])

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
      var command = try parseAsRoot()
      try command.run()
      Launch.leave()
    } catch let error where error is ExitCode || error is ValidationError || error is CleanExit {
      Launch.leave()
      exit(withError: error)
    } catch let refusal as LaunchRefusal {
      if !refusal.isSaid { Terminal.error(refusal.message) }
      exit(withError: ExitCode(VitProbeError.Kind.usage.rawValue))
    } catch let failure as RankFailure {
      if failure.message != nil { Terminal.error("\(failure)") }
      if failure.isKnownToAll { Launch.leave() } else { Launch.abort(code: failure.kind.rawValue) }
      exit(withError: ExitCode(failure.kind.rawValue))
    } catch {
      if Self.exitCode(for: error) == .validationFailure || "\(type(of: error))" == "CommandError" {
        if Launch.leavesItToTheFirst() { Glibc.exit(VitProbeError.Kind.usage.rawValue) }
        exit(withError: error)
      }
      let failure = VitProbeError(error)
      Terminal.error(failure.message)
      Launch.leave()
      exit(withError: ExitCode(failure.kind.rawValue))
    }
  }
}
