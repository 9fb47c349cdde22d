import Reports
import Testing

@testable import VitProbe

/// The file of records itself: what is damaged is seen.
@Suite struct RecordFormatTests {
  private func header(_ shard: Shard? = nil, batches: Int = 6) throws -> RecordHeader {
    try RecordHeader(
      kind: "features", batches: batches, parts: ["a", "b"], shard: shard, settings: ["n": 1],
      provenance: RecordStudy.provenance)
  }

  private func entry(_ batch: Int) -> RecordEntry {
    RecordEntry(
      batch: batch,
      documents: [
        .init(name: "a", json: Array("{\"x\":\(batch)}".utf8)),
        .init(name: "b", json: Array("[\(batch),0.5]".utf8)),
      ])
  }

  private func parse(_ bytes: [UInt8]) throws(VitProbeError) -> RecordFile {
    try RecordFile(parsing: bytes, path: "x.vpart")
  }

  @Test func whatIsWrittenIsRead() throws {
    let entries = [3, 0, 5].map(entry)
    let file = try parse(RecordFile.bytes(header()) + entries.flatMap(RecordFile.bytes))
    #expect(file.entries == entries && file.tornLength == 0)
    #expect(file.header.outline.batches == 6 && file.header.unitCount == 6)
    #expect(try header().difference(from: file.header, names: ("a", "b")) == nil)
    // Sealed, the order is that of minibatches.
    let sealed = try parse(RecordFile.bytes(header(), entries))
    #expect(sealed.entries == [0, 3, 5].map(entry))
    let none = try parse(RecordFile.bytes(header()))
    #expect(none.entries.isEmpty && none.tornLength == 0)
    let shard = try header(Shard(index: 1, count: 4))
    #expect(try parse(RecordFile.bytes(shard)).header.unitCount == 2)
  }

  @Test func aTornTailAtEveryByteIsDropped() throws {
    let whole = try RecordFile.bytes(header()) + [0, 1].flatMap { RecordFile.bytes(entry($0)) }
    let last = RecordFile.bytes(entry(2))
    for length in 0..<last.count {
      let file = try parse(whole + last.prefix(length))
      #expect(file.entries == [entry(0), entry(1)])
      #expect(file.soundLength == whole.count && file.tornLength == length)
    }
    #expect(try parse(whole + last).entries.count == 3)
  }

  @Test func aFileThatIsCutInItsHeaderIsRefused() throws {
    let head = try RecordFile.bytes(header())
    for length in 0..<head.count {
      #expect(failure { _ = try parse(Array(head.prefix(length))) }?.kind == .badData, "\(length)")
    }
  }

  /// A byte that is another is an error, or, in the last record, that record is gone.
  @Test func aFlippedByteIsNeverTakenForARecord() throws {
    let head = try RecordFile.bytes(header())
    let bytes = head + [4, 1, 2].flatMap { RecordFile.bytes(entry($0)) }
    let last = bytes.count - RecordFile.bytes(entry(2)).count
    for place in bytes.indices {
      for bit in [0, 3, 7] {
        var damaged = bytes
        damaged[place] ^= 1 << UInt8(bit)
        if place == last - 1 {
          // Without the line end between them, the last two are one that is torn.
          #expect(try parse(damaged).entries == [entry(4)])
        } else if place < last {
          let error = failure { _ = try parse(damaged) }
          #expect(error?.kind == .badData, "byte \(place), bit \(bit)")
          #expect(error?.message.hasPrefix("x.vpart: ") == true)
        } else {
          let file = try parse(damaged)
          #expect(file.entries == [entry(4), entry(1)] && file.tornLength > 0)
        }
      }
    }
  }

  @Test func recordsThatDoNotBelongAreRefused() throws {
    func refused(_ shard: Shard?, _ entries: [RecordEntry]) throws {
      let bytes = try RecordFile.bytes(header(shard)) + entries.flatMap(RecordFile.bytes)
      let error = failure { _ = try parse(bytes) }
      #expect(error?.kind == .badData)
      #expect(error?.message.contains("does not belong") == true)
    }
    try refused(nil, [entry(1), entry(2), entry(1)])
    try refused(Shard(index: 0, count: 2), [entry(0), entry(1)])
    try refused(nil, [RecordEntry(batch: 0, documents: [.init(name: "c", json: [])])])
    // Beyond the plan: not a record at all.
    let beyond = try parse(RecordFile.bytes(header()) + RecordFile.bytes(entry(6)))
    #expect(beyond.entries.isEmpty && beyond.tornLength > 0)
  }

  /// What a file asks for is bounded by its size.
  @Test func moreMinibatchesThanTheSettingsCanHoldAreRefused() throws {
    let error = failure { _ = try parse(RecordFile.bytes(header(batches: 1 << 32))) }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("its header") == true)
  }

  @Test func laterFormatsAreNamed() throws {
    let bytes = Array("vitprobe records 2\n".utf8)
    let error = failure { _ = try parse(bytes) }
    #expect(error?.message.contains("format \"2\"") == true)
    #expect(failure { _ = try parse([]) }?.kind == .badData)
  }

  @Test func numbersKeepEveryBit() throws {
    var state: UInt64 = 7
    var values: [Double] = [
      0, -0.0, 1, -1, .leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude, .pi,
      0.1, 1e21, 1e22,
      9_007_199_254_740_992, .infinity, -.infinity, 100, 1e-7,
    ]
    for _ in 0..<20_000 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      let value = Double(bitPattern: state ^ state >> 29)
      if value.isFinite { values.append(value) }
    }
    let back = try RecordCoding.decode([Double].self, from: RecordCoding.encode(values))
    #expect(back.map(\.bitPattern) == values.map(\.bitPattern))
    let nan = try RecordCoding.decode([Double].self, from: RecordCoding.encode([Double.nan]))
    #expect(nan.count == 1 && nan[0].isNaN)
    let text = String(decoding: try RecordCoding.encode(["a\tb\nc/d\u{2028}"]), as: UTF8.self)
    #expect(!text.contains("\t") && !text.contains("\n"))
  }
}
