import Diagnostics
import Reports
import TestSupport
import Testing

@testable import VitProbe

/// Hessians of a whole data set that are stopped within a solver, and go on there.
@Suite struct HessianProductLogTests {
  enum Stage: CaseIterable {
    case lanczos, power, trace, sketchedTrace, density
  }

  private func run(_ stage: Stage) throws -> HessianRun {
    try RecordStudy.hessian(scope: .dataset, images: 14, batchSize: 8) { settings in
      switch stage {
      case .lanczos: break
      case .power: (settings.solver, settings.maximumIterations) = (.power, 5)
      case .trace: (settings.steps, settings.traceProbes) = (1, 8)
      case .sketchedTrace:
        (settings.steps, settings.traceProbes, settings.usesHutchPlusPlus) = (1, 9, true)
      case .density: (settings.steps, settings.densityProbes) = (1, 1)
      }
    }
  }

  private func log(
    _ run: HessianRun, _ folder: Scratch, resuming: Bool = true, ranks: Int = 1, limit: Int? = nil
  ) throws -> RecordLog {
    try RecordStudy.log(
      run, in: folder.path, resuming: resuming, products: .init(ranks: ranks, limit: limit))
  }

  /// Runs until so many products were made; nil if it came to its end.
  private func stopped(
    _ run: HessianRun, after count: Int, _ log: RecordLog
  ) throws -> Interruption? {
    var made = 0
    do {
      _ = try run.collect(
        keeping: log, shouldStop: { made >= count },
        progress: { done, _ in made = done / run.minibatches })
      return nil
    } catch let interruption as Interruption {
      return interruption
    }
  }

  /// Stopped after each number of products, in every stage of every solver, and once more a little
  /// later: the files are the same bytes, and no product was made twice.
  @Test(arguments: Stage.allCases)
  func aResumedSolverHasTheSameBytes(_ stage: Stage) throws {
    var all = 0
    let whole = RecordStudy.files(
      [try run(stage).collect(progress: { done, _ in all = done / 2 }).report()])
    #expect(all >= 16)
    for stop in stride(from: 0, to: all, by: stage == .density ? 13 : 1) {
      let folder = Scratch()
      let first = try stopped(run(stage), after: stop, log(run(stage), folder))
      #expect(first?.isKept == (stop > 0))
      let second = try log(run(stage), folder)
      _ = try stopped(run(stage), after: stop + 3, second)
      let last = try log(run(stage), folder)
      let report = try run(stage).collect(keeping: last).report()
      #expect(RecordStudy.files([report]) == whole)
      #expect(last.lateNotes.isEmpty)
      last.remove()
      #expect(folder.names().isEmpty)
    }
  }

  @Test func aKeptProductIsNotMadeAgain() throws {
    let folder = Scratch()
    let run = try run(.lanczos)
    _ = try stopped(run, after: 5, log(run, folder))
    let again = try log(run, folder)
    let counted = Counted(dimension: 175)
    again.products?.begin(model: 0, dimension: 175)
    #expect(again.notes == ["going on from 0 of 2 models and 5 products of the next"])
    var solver = Lanczos()
    (solver.top, solver.steps) = (2, 4)
    solver.direction = try run.shared(0, SingleRank()).gradient()
    var vectors: [[Double]] = []
    // The same solver on another operator: asks it from the sixth product on.
    _ = try solver.solve(KeptProducts(base: counted, log: again)) {
      vectors.append($0.basis.vector($0.basis.count - 1))
    }
    #expect(vectors.count == 8)
    #expect(counted.vectors == Array(vectors.dropFirst(5)))
    #expect(again.lateNotes.isEmpty)
  }

  /// A process that dies in the middle of a write loses that product and no other; of damage, what
  /// stands before it is used.
  @Test func tornAndDamagedFilesAreUsedAsFarAsTheyGo() throws {
    let folder = Scratch()
    let run = try run(.lanczos)
    let whole = RecordStudy.files([try run()])
    _ = try stopped(run, after: 6, log(run, folder))
    let name = ".vitprobe-products"
    let records = try #require(Scratch.read(folder.file(".vitprobe-records")))
    let bytes = try #require(Scratch.read(folder.file(name)))
    let size = ProductFile.bytes(175)
    let head = bytes.count - 6 * size
    #expect(head > 0)
    func check(_ contents: [UInt8], _ count: Int, _ note: String) throws {
      folder.write(records, as: ".vitprobe-records")
      folder.write(contents, as: name)
      let log = try log(run, folder)
      #expect(log.notes.contains { $0.contains(note) }, "\(log.notes)")
      #expect(RecordStudy.files([try run.collect(keeping: log).report()]) == whole)
      #expect(log.lateNotes.isEmpty == (count == 6 || contents.count < bytes.count))
      log.remove()
    }
    for cut in [1, 15, 16, 17, size - 65, size - 64, size - 1] {
      try check(Array(bytes.dropLast(cut)), 5, "5 products")
    }
    try check(bytes, 6, "6 products")
    for place in [3, 70, size - 1] {
      var damaged = bytes
      damaged[head + 2 * size + place] ^= 1
      try check(damaged, 2, "6 products")
    }
    // No file of products at all, or one of nothing that is known.
    for contents in [[], Array("vitprobe products 2\n{}\n".utf8), Array(bytes.prefix(head / 2))] {
      try check(contents, 0, "nothing to go on from")
    }
    var other = bytes
    // The digest of other settings.
    let digest = try #require(other.firstRange(of: Array("digest\":\"".utf8))?.upperBound)
    other[digest] = other[digest] == UInt8(ascii: "0") ? UInt8(ascii: "1") : UInt8(ascii: "0")
    try check(Array(other.prefix(bytes.count - 1)), 0, "nothing to go on from")
  }

  @Test func productsOfAModelThatIsDoneAreLeftAside() throws {
    let folder = Scratch()
    let run = try run(.lanczos)
    let report = try run()
    let whole = RecordStudy.files([report])
    // Two of largest magnitude and both ends; each value is measured once.
    let values = try #require(report.tables[0].cells("eigenvalue")).prefix(4)
    let measured = Set(values.map { "\($0)" }).count
    // Stopped in the first model, whose products are put back once it is saved.
    _ = try stopped(run, after: 4, log(run, folder))
    let products = try #require(Scratch.read(folder.file(".vitprobe-products")))
    let second = try stopped(run, after: 8 + measured, log(run, folder))
    #expect(second?.done == 1 && second?.isKept == true)
    folder.write(products, as: ".vitprobe-products")
    let last = try log(run, folder)
    #expect(last.notes == ["going on from 1 of 2 models"])
    #expect(RecordStudy.files([try run.collect(keeping: last).report()]) == whole)
    // Left by a run that died, and found by one that keeps no products.
    folder.write(products, as: ".vitprobe-products")
    try RecordStudy.log(run, in: folder.path).remove()
    #expect(!folder.names().contains(".vitprobe-products"))
  }

  @Test func noMoreDiskIsTakenThanAllowed() throws {
    let run = try run(.lanczos)
    let whole = RecordStudy.files([try run()])
    for count in [0, 2] {
      let folder = Scratch()
      let limit = 500 + count * ProductFile.bytes(175)
      let interruption = try stopped(run, after: 4, log(run, folder, limit: limit))
      #expect(interruption?.isKept == (count > 0))
      #expect((Scratch.read(folder.file(".vitprobe-products"))?.count ?? 0) <= limit)
      let last = try log(run, folder, limit: limit)
      #expect(last.notes.contains { $0.contains(count > 0 ? "2 products" : "nothing") })
      #expect(RecordStudy.files([try run.collect(keeping: last).report()]) == whole)
      #expect(last.lateNotes.contains { $0.contains("`keptBytes`") })
    }
  }

  @Test func anotherNumberOfRanksIsWorthANote() throws {
    let folder = Scratch()
    let run = try run(.lanczos)
    _ = try stopped(run, after: 4, log(run, folder, ranks: 2))
    let log = try log(run, folder, ranks: 3)
    #expect(log.lateNotes.contains { $0.contains("by 2 processes") && $0.contains("by 3") })
    #expect(try !run.collect(keeping: log).report().tables.isEmpty)
  }

  @Test func theSpaceIsAnnounced() throws {
    // Of each of two models at most 2 x 4 products of 175 values and 4 for residuals, with checksums.
    let plan = try run(.lanczos).plan
    #expect(plan.count(where: { $0.contains("up to 0.00936 MB on disk") }) == 2, "\(plan)")
    #expect(try !RecordStudy.hessian().plan.contains { $0.contains("on disk") })
  }
}

/// A diagonal operator that remembers what it was asked.
private final class Counted: SymmetricOperator {
  let dimension: Int
  var vectors: [[Double]] = []

  init(dimension: Int) { self.dimension = dimension }

  func apply(_ vectors: [[Double]]) -> [[Double]] {
    self.vectors += vectors
    return vectors.map { $0.enumerated().map { Double($0.offset + 1) * $0.element } }
  }
}
