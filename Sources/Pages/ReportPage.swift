import Reports
import StrictJSON

/// One HTML page of finished runs: findings, layers, a view for each analysis, a comparison of two runs, and
/// where everything comes from.
///
/// The page is one file. It asks for nothing from a network, shows every figure without a script, and has
/// the tables inside, for its script and for whoever wants them back. The same runs give the same bytes.
public struct ReportPage: Sendable {
  /// The document.
  public let html: String
  /// What was left out for the page to stay below ``limit``, in words.
  public let omissions: [String]
  /// The findings, in words; warnings first.
  public let findings: [String]

  /// The most bytes that a page has.
  public static let limit = 5_000_000

  /// Makes the page of runs.
  ///
  /// - Parameters:
  ///   - title: nil names the folders.
  ///   - version: of the program, for the head of the document.
  /// - Throws: ``ResultsError`` `.damaged` for tables that are not what a run writes.
  public init(
    of runs: [FinishedRun], title: String? = nil, version: String
  ) throws(ResultsError) {
    var document = try ReportDocument(
      try Self.results(runs), title: title, version: version,
      identity: Self.identity(of: runs, title: title))
    html = try document.html()
    omissions = document.omissions
    findings = document.findings.map(\.text)
  }

  /// A digest of the runs that a page is of and of its title: the same for pages of one command, whatever
  /// has become of the tables.
  public static func identity(of runs: [FinishedRun], title: String?) -> String {
    let hash = SHA256()
    hash.update(Array((title ?? "\u{0}").utf8))
    for run in runs {
      hash.update(Array((run.manifest["run"]?.compact ?? run.digest).utf8))
      hash.update([0])
    }
    return hash.finish()
  }

  /// The identity in the head of a page; nil for bytes that do not begin as one does.
  public static func identity(in bytes: [UInt8]) -> String? {
    let head = String(decoding: bytes.prefix(400), as: UTF8.self)
    guard let mark = head.firstRange(of: Self.mark) else { return nil }
    let digest = head[mark.upperBound...].prefix(64)
    return digest.count == 64 && digest.allSatisfy(\.isHexDigit) ? String(digest) : nil
  }

  /// What stands before the identity.
  static let mark = "<meta name=\"vitprobe-report\" content=\""

  /// Runs under the last parts of their folders' names, told apart by numbers where those are alike.
  private static func results(_ runs: [FinishedRun]) throws(ResultsError) -> [RunResults] {
    let names = runs.map { run in
      let parts = run.path.split(separator: "/").filter { $0 != "." }
      return parts.last.map(String.init) ?? run.path
    }
    var results: [RunResults] = []
    for (number, run) in runs.enumerated() {
      let isAlone = names.count { $0 == names[number] } == 1
      results.append(
        try RunResults(
          run, number: number, title: isAlone ? names[number] : "\(names[number]) (\(number + 1))"))
    }
    return results
  }
}
