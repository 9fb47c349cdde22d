/// `name=value` arguments of a job.
final class Arguments {
  struct Mistake: Error, CustomStringConvertible {
    let description: String
  }

  private var values: [String: String] = [:]
  private var used: Set<String> = []

  init(_ words: some Sequence<String>) throws {
    for word in words {
      guard let equals = word.firstIndex(of: "=") else {
        throw Mistake(description: "\"\(word)\" is not name=value")
      }
      values[String(word[..<equals])] = String(word[word.index(after: equals)...])
    }
  }

  func text(_ name: String, _ standard: String) -> String {
    used.insert(name)
    return values[name] ?? standard
  }

  func integer(_ name: String, _ standard: Int) throws -> Int {
    let word = text(name, String(standard))
    guard let number = Int(word), number > 0 else {
      throw Mistake(description: "\(name)=\(word): a positive integer is needed")
    }
    return number
  }

  func checkAllUsed() throws {
    if let name = values.keys.filter({ !used.contains($0) }).min() {
      throw Mistake(description: "this job has no argument \(name)")
    }
  }
}
