/// The names of values in a graph as it is read: each is made once, before it is used.
///
/// So no graph has a cycle, and none reads what is not there.
struct ValueNames {
  private var defined: Set<String> = []
  /// What is wrong at a place: made of what was found and what was expected.
  private let failure: (_ place: String, _ found: String, _ expected: String) -> CheckpointError

  init(_ failure: @escaping (String, String, String) -> CheckpointError) { self.failure = failure }

  /// Notes a value that is made.
  mutating func define(_ name: String, _ place: String) throws(CheckpointError) {
    guard defined.insert(name).inserted else {
      throw failure(place, "the value \"\(name)\" a second time", "each value made once")
    }
  }

  /// Makes sure that the values which an argument names exist.
  func require(
    _ argument: ExportedProgram.Argument, _ place: String
  ) throws(CheckpointError) {
    switch argument {
    case .tensor(let name), .symbol(let name):
      guard defined.contains(name) else {
        throw failure(place, "the value \"\(name)\"", "one that was made before")
      }
    case .list(let items): for item in items { try require(item, place) }
    default: break
    }
  }
}
