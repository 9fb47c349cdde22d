/// What `--help` says beside the list of options.
enum HelpText {
  /// A call and what it is for.
  struct Example {
    let call: String
    let purpose: String

    init(_ call: String, _ purpose: String) { (self.call, self.purpose) = (call, purpose) }
  }

  /// The exit codes of every command, those of sysexits among them.
  static let exitCodes =
    "Exit codes: 0 done; 1 done, with images skipped; 64 usage; 65 bad data; 66 no such input; "
    + "70 internal error; 73 the output cannot be created; 74 reading or writing failed; "
    + "75 stopped early, the same command goes on; 130 interrupted."

  /// Examples and exit codes.
  ///
  /// - Parameter text: what else is to be said, before.
  static func examples(_ examples: [Example], after text: String = "") -> String {
    let calls = examples.map { "  $ vitprobe \($0.call)\n      \($0.purpose)" }
    return (text.isEmpty ? [] : [text]).joined() + (text.isEmpty ? "" : "\n\n") + "Examples:\n"
      + calls.joined(separator: "\n") + "\n\n" + exitCodes
  }
}
