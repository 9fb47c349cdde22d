import Glibc
import StrictJSON
import Testing

@testable import Reports

/// Files beside the tests.
enum Fixtures {
  static let folder =
    String(#filePath.prefix(through: #filePath.lastIndex(of: "/") ?? #filePath.startIndex))
    + "Fixtures/"

  static var isRecording: Bool { getenv("VITPROBE_RECORD_SNAPSHOTS") != nil }

  static func read(_ path: String) -> [UInt8]? {
    guard let file = fopen(path, "rb") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while case let count = fread(&chunk, 1, chunk.count, file), count > 0 {
      bytes += chunk[..<count]
    }
    return bytes
  }

  static func write(_ text: String, _ path: String) {
    guard let file = fopen(path, "wb") else { return }
    defer { fclose(file) }
    let bytes = Array(text.utf8)
    fwrite(bytes, 1, bytes.count, file)
  }

  /// Compares with the committed file; with VITPROBE_RECORD_SNAPSHOTS set, writes it instead.
  static func expect(_ text: String, matches name: String) {
    let path = folder + name
    if isRecording { write(text, path) }
    let golden = read(path).map { String(decoding: $0, as: UTF8.self) }
    let isSame = golden == text
    #expect(isSame, "differs from \(name)")
  }
}

@Suite struct FigureSnapshotTests {
  @Test(arguments: SampleFigures.all)
  func svg(figure: Figure) {
    let stem = figure.name.filter { $0.isLetter || $0 == "_" }
    Fixtures.expect(figure.svg, matches: "\(stem).svg")
  }

  @Test(arguments: SampleFigures.all)
  func vegaLite(figure: Figure) throws {
    let text = figure.vegaLite.pretty
    let document = try JSONValue(parsing: Array(text.utf8))
    #expect(document == figure.vegaLite)
    #expect(document["concat"]?.arrayValue?.count == figure.panels.count)
    if let folder = getenv("VITPROBE_VEGA_FOLDER") {
      let stem = figure.name.filter { $0.isLetter || $0 == "_" }
      Fixtures.write(text, String(cString: folder) + "/\(stem).vl.json")
    }
  }
}
