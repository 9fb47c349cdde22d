import Glibc
import Models
import StrictJSON
import TestSupport
import Testing

@testable import Checkpoints

/// Changes the documents of sound graphs at random, always in the same way, and loads what is left. A mutant may
/// be refused or become a network; it must not trap.
@Suite struct GraphMutationTests {
  /// For each graph. `VITPROBE_MUTANTS=20000` looks longer, `VITPROBE_MUTANT_SEED` elsewhere.
  private static let mutants = number("VITPROBE_MUTANTS") ?? 40
  private static let seed = number("VITPROBE_MUTANT_SEED") ?? 1

  private static func number(_ name: String) -> Int? {
    getenv(name).flatMap { Int(String(cString: $0)) }
  }

  @Test(arguments: ["graph-vit", "graph-swin", "graph-operations", "graph-efficientnet"])
  func mutantsAreLoadedOrRefused(_ name: String) throws {
    let checkpoint = try Checkpoint.open(Fixture.folder + name + ".pt2")
    let archive = try ZipArchive(MappedFile(path: checkpoint.path))
    let member = try #require(archive.members.first { $0.name.hasSuffix("models/model.json") })
    let document = try archive.contents(of: member).withBytes { try JSONValue(parsing: $0) }
    var mutation = GraphMutation(document, seed: UInt64(Self.seed))
    var refused = 0
    for _ in 0..<Self.mutants {
      let mutant = mutation.next()
      do {
        var reader = ExportedProgramReader(file: name, member: member.name)
        let program = try reader.program(mutant)
        _ = try GraphLoader.load(checkpoint, program) { $0 == $1 }
      } catch {
        #expect(error is CheckpointError || error is ModelError, "\(error)")
        refused += 1
      }
    }
    // What changes no more than a number of an argument may be sound.
    #expect(refused > Self.mutants / 4)
  }
}

/// Changes of a graph's document: other numbers, names, operations and lists at a few places.
private struct GraphMutation {
  private let document: JSONValue
  private var generator: SeededGenerator
  /// What stands in it of each kind, to be put elsewhere.
  private var texts: [String] = []
  private var objects: [JSONValue] = []
  private var places = 0

  init(_ document: JSONValue, seed: UInt64) {
    self.document = document
    generator = SeededGenerator(state: seed)
    collect(document)
  }

  private mutating func collect(_ value: JSONValue) {
    places += 1
    switch value {
    case .object(let members):
      if members.count <= 2 { objects.append(value) }
      for member in members { collect(member.value) }
    case .array(let items): for item in items { collect(item) }
    case .string(let text): if text.utf8.count < 64 { texts.append(text) }
    default: break
    }
  }

  mutating func next() -> JSONValue {
    var chosen: Set<Int> = []
    for _ in 0..<Int.random(in: 1...3, using: &generator) {
      chosen.insert(Int.random(in: 0..<places, using: &generator))
    }
    var place = 0
    return changed(document, chosen, &place)
  }

  private mutating func changed(
    _ value: JSONValue, _ chosen: Set<Int>, _ place: inout Int
  ) -> JSONValue {
    let isChosen = chosen.contains(place)
    place += 1
    switch value {
    case .object(let members):
      let own = members.map { member in
        JSONValue.Member(member.name, changed(member.value, chosen, &place))
      }
      return isChosen && !objects.isEmpty
        ? objects[Int.random(in: 0..<objects.count, using: &generator)] : .object(own)
    case .array(let items):
      var own = items.map { changed($0, chosen, &place) }
      guard isChosen else { return .array(own) }
      if own.isEmpty { return .array([.integer(Int.random(in: -2...300, using: &generator))]) }
      let index = Int.random(in: 0..<own.count, using: &generator)
      switch Int.random(in: 0..<3, using: &generator) {
      case 0: own.remove(at: index)
      case 1: own.insert(own[index], at: Int.random(in: 0...own.count, using: &generator))
      default: own.swapAt(index, Int.random(in: 0..<own.count, using: &generator))
      }
      return .array(own)
    case .string(let text):
      return .string(
        isChosen && !texts.isEmpty
          ? texts[Int.random(in: 0..<texts.count, using: &generator)] : text)
    case .integer(let number):
      let others = [
        0, 1, -1, 2, 3, 7, number &+ 1, number &- 1, number &* 2, 1 << 20, 1 << 31, 1 << 40, .max,
        .min,
      ]
      return .integer(
        isChosen ? others[Int.random(in: 0..<others.count, using: &generator)] : number)
    case .real(let number):
      let others = [0, -number, .infinity, .nan, 1e300, 0.5]
      return .real(isChosen ? others[Int.random(in: 0..<others.count, using: &generator)] : number)
    case .bool(let truth): return .bool(isChosen ? !truth : truth)
    default: return value
    }
  }
}
