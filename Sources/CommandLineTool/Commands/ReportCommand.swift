import ArgumentParser
import DurableFiles
import Pages
import Reports
import VitProbe

/// `vitprobe report`
struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "One HTML page of finished runs, which opens without a network.",
    discussion: HelpText.examples(
      [
        .init("report vitprobe-out/run", "report.html of one run"),
        .init("report before after -o compared.html", "what differs between two"),
      ],
      after: """
        DIR is a folder that a command filled: run.json and tables. Of two folders what differs is shown \
        too. The page is one file of at most 5 MB; it has every figure without a script, and the tables inside.
        """))

  @Argument(help: ArgumentHelp("Folders of results.", valueName: "dir"))
  var folders: [String]

  @Option(
    name: [.short, .long],
    help: ArgumentHelp("The page; - streams it.", valueName: "FILE"))
  var output = "report.html"

  @Option(help: ArgumentHelp("The page's title (default: the folders' names).", valueName: "TEXT"))
  var title: String?

  @Flag(help: "Replace a report of other runs.")
  var replace = false

  @Flag(help: "As --replace, and replace a file that is no report.")
  var force = false

  @Flag(name: [.short, .long], help: "No remarks: results and errors alone.")
  var quiet = false

  func validate() throws {
    if let twice = folders.first(where: { folder in folders.count { $0 == folder } > 1 }) {
      throw ValidationError("\(twice) is given twice")
    }
  }

  func run() throws {
    Terminal.configure(quiet ? .quiet : .normal)
    let runs = try folders.map { try FinishedRun(reading: $0) }
    let identity = ReportPage.identity(of: runs, title: title)
    if output != "-" { try checkOutput(identity) }
    let page = try ReportPage(of: runs, title: title, version: VitProbeVersion.current)
    for omission in page.omissions { Terminal.note("note: left out of the page: \(omission)") }
    guard output != "-" else {
      Terminal.data(page.html)
      return
    }
    let bytes = Array(page.html.utf8)
    try AtomicFile.write(bytes, to: output)
    for finding in page.findings { Terminal.data("\(finding.displayable)\n") }
    Terminal.data("\(bytes.count) bytes in \(output)\n")
  }

  /// Whether the file may be written: a report of the same runs is replaced, another one and other files
  /// when that is asked for.
  private func checkOutput(_ identity: String) throws {
    func refuse(_ message: String) -> FileError {
      FileError(.cannotCreate, path: output, message: message)
    }
    let limit = 1 << 30
    guard PathKind.at(output) == .file, let bytes = try RegularFile.contents(output, limit: limit)
    else { return }
    guard let earlier = ReportPage.identity(in: bytes) else {
      if force { return }
      throw refuse("is no report of vitprobe; name another file, or pass --force to replace it")
    }
    if earlier == identity {
      Terminal.note("note: replacing the report of the same runs in \(output)")
    } else if !replace && !force {
      throw refuse("is a report of other runs; name another file, or pass --replace")
    }
  }
}
