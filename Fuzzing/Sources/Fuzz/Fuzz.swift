import CFuzzer
import Glibc

/// `fuzz TARGET [libFuzzer's options] [folders of inputs]`
@main struct Fuzz {
  /// Set once, before the first input.
  nonisolated(unsafe) static var target = FuzzTarget.safetensors

  static func main() {
    guard CommandLine.argc > 1, let target = FuzzTarget(rawValue: CommandLine.arguments[1]) else {
      let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: "|")
      print("usage: fuzz \(names) [-max_total_time=SECONDS …] [FOLDER …]")
      exit(64)
    }
    Self.target = target
    var count = CommandLine.argc - 1
    // libFuzzer takes the second argument for the first: it calls itself by argument 0.
    let arguments = CommandLine.unsafeArgv
    arguments[1] = arguments[0]
    var rest: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = arguments + 1
    exit(
      LLVMFuzzerRunDriver(&count, &rest) { data, size in
        Fuzz.target.read(UnsafeRawBufferPointer(start: data, count: size))
        return 0
      })
  }
}
