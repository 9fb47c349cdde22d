import Testing

@testable import Images

@Suite struct BatchTests {
  @Test(arguments: [
    (10, 4, [4, 6]), (12, 4, [4, 4, 4]), (3, 4, [3]), (0, 4, []), (11, 4, [4, 7]), (8, 16, [8]),
    (67, 64, [67]), (68, 64, [64, 4]), (5, 2, [2, 3]), (4, 1, [1, 1, 1, 1]),
  ])
  func remainders(_ count: Int, _ size: Int, _ expected: [Int]) {
    let plan = BatchPlan(count: count, batchSize: size)
    #expect(plan.batches.map(\.count) == expected)
    #expect(plan.batches.flatMap { Array($0) } == Array(0..<count))
    #expect(plan.largestBatch == expected.max() ?? 0)
  }

  @Test func fewerMinibatchesThanAskedForAreTold() {
    let plan = BatchPlan(count: 11, batchSize: 4)
    for (limit, expected) in [(nil, 2), (1, 1), (2, 2)] {
      let (count, notes) = plan.limited(to: limit)
      #expect(count == expected && notes.isEmpty)
    }
    let (count, notes) = plan.limited(to: 5)
    #expect(count == 2)
    #expect(notes == ["the 11 images make 2 minibatch(es), fewer than the 5 of `batchLimit`"])
  }

  private func folder() throws -> ScratchFolder {
    let scratch = try ScratchFolder()
    let good = try Fixture.bytes("codecs/rgb8.png")
    for i in 0..<9 { try scratch.write("\(i).png", i == 2 ? [1, 2, 3] : good) }
    return scratch
  }

  @Test func aSkippedImageMovesNoOther() throws {
    let scratch = try folder()
    let data = try ImageDataSet.open(scratch.path)
    let plan = BatchPlan(count: data.count, batchSize: 4)
    let first = try data.batch(0, of: plan, onBadImage: .skip)
    #expect(first.items.map(\.id) == ["0.png", "1.png", "3.png"])
    #expect(first.skipped.map(\.id) == ["2.png"])
    #expect(first.skipped[0].reason.contains("01 02 03"))
    #expect(try data.batch(1, of: plan).items.map(\.position) == [4, 5, 6, 7, 8])
    let error = errorOf { _ = try data.batch(0, of: plan) }
    #expect(error?.file.hasSuffix("2.png") == true)
  }

  @Test func batchesAreWrittenInOrder() throws {
    let arrays = try ArrayImages(
      name: "a", shape: [5, 2, 2], element: .uint8, bytes: (0..<20).map { UInt8($0) })
    let data = try ImageDataSet(arrays, name: "a")
    let batch = try data.batch(0, of: BatchPlan(count: 5, batchSize: 5))
    let transform = ImageTransform(resize: .none, crop: nil, mean: [0], std: [1])
    let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: 20)
    defer { values.deallocate() }
    try batch.write(transform, into: values)
    #expect(Array(values) == (0..<20).map { Float($0) / 255 })
  }

  @Test func imagesOfSeveralSizesNeedACrop() throws {
    let scratch = try ScratchFolder()
    try scratch.write("a.png", Fixture.bytes("codecs/rgb8.png"))
    try scratch.write("b.png", Fixture.bytes("codecs/one-pixel.png"))
    let batch = try ImageDataSet.open(scratch.path).batch(0, of: BatchPlan(count: 2, batchSize: 2))
    let none = UnsafeMutableBufferPointer<Float>(start: nil, count: 0)
    let error = errorOf { try batch.write(ImageTransform(resize: .none, crop: nil), into: none) }
    #expect(error?.kind == .mismatch)
    #expect(error?.file == "b.png")
  }

  /// Many threads decode and transform the same data set and get what one thread gets.
  @Test func decodingInParallel() async throws {
    let scratch = try folder()
    let data = try ImageDataSet.open(scratch.path).subset(limit: 2)
    let expected = try data.decode(0)
    let transform = ImageTransform(resize: .shortEdge(20), crop: .init(16))
    let values = try transform(expected)
    let same = try await withThrowingTaskGroup(of: Bool.self) { group in
      for i in 0..<64 {
        group.addTask {
          let image = try data.decode(i % 2)
          return try image == expected && transform(image) == values
        }
      }
      return try await group.reduce(true) { $0 && $1 }
    }
    #expect(same)
  }

  @Test func subsets() throws {
    let scratch = try folder()
    let data = try ImageDataSet.open(scratch.path)
    #expect(data.subset(limit: 3).count == 3)
    #expect(data.subset(limit: 3).id(2) == "2.png")
    #expect(data.subset(limit: 300).count == 9)
    let shuffled = data.subset(shuffleSeed: 1)
    let ids = (0..<9).map(shuffled.id)
    #expect(ids.sorted() == (0..<9).map(data.id))
    #expect(ids != (0..<9).map(data.id))
    #expect((0..<9).map(data.subset(shuffleSeed: 1).id) == ids)
    #expect((0..<9).map(data.subset(shuffleSeed: 2).id) != ids)
    // A limited shuffle is the beginning of the whole one.
    #expect((0..<4).map(data.subset(limit: 4, shuffleSeed: 1).id) == Array(ids[..<4]))
    #expect(shuffled.subset(limit: 2).inputFiles.count == 2)
  }

  /// The first outputs of SplitMix64 from state 0, as other implementations publish them.
  @Test func splitMix() {
    #expect(
      (0..<3).map { splitMix64(0, $0) } == [
        0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F,
      ])
  }
}
