import Diagnostics
import Glibc
import Reports
import Tensors

/// Subjects whose features are given as numbers, cut into minibatches and analysed.
struct FeatureStudy {
  struct Layer {
    var tap: Tap
    /// The extents of an image's value.
    var shape: [Int]
    /// `[image][...]`.
    var values: [Float]
  }

  var subjects: [(label: String, family: String, layers: [Layer])] = []
  var batchSizes: [Int]
  /// The side of the images in pixels; nil if it is not known.
  var imageSize: Int?

  init(_ batchSizes: [Int]) { self.batchSizes = batchSizes }

  mutating func add(_ label: String, family: String = "vit", _ layers: [Layer]) {
    subjects.append((label, family, layers))
  }

  var plan: Plan {
    Plan(
      subjects: subjects.map { subject in
        SubjectPlan(
          label: subject.label, family: subject.family,
          taps: subject.layers.map { PlannedTap(tap: $0.tap, shape: $0.shape) },
          imageSize: imageSize)
      }, batchSizes: batchSizes, batchSize: batchSizes.max() ?? 0)
  }

  /// The records in the order of minibatches, computed in the order given.
  func records<A: Analyzer>(_ analyzer: A, order: [Int]? = nil) -> [A.Record] {
    var records: [Int: A.Record] = [:]
    for batch in order ?? Array(batchSizes.indices) {
      records[batch] = record(analyzer, batch: batch)
    }
    return batchSizes.indices.compactMap { records[$0] }
  }

  private func record<A: Analyzer>(_ analyzer: A, batch: Int) -> A.Record {
    let first = batchSizes[..<batch].reduce(0, +)
    let places = first..<(first + batchSizes[batch])
    let identity = BatchIdentity(
      number: batch, ids: places.map { "#\($0)" }, positions: Array(places),
      labels: places.map { _ in nil })
    let observer = analyzer.begin(identity, plan: plan)
    for (index, subject) in subjects.enumerated() {
      for (tap, layer) in subject.layers.enumerated() {
        let width = layer.shape.reduce(1, *)
        let values = layer.values[(first * width)..<((first + batchSizes[batch]) * width)]
        observer.observe(
          subject: index, tap: tap,
          value: Tensor(Array(values), shape: Shape([batchSizes[batch]] + layer.shape)))
      }
    }
    return observer.finish()
  }

  func report<A: Analyzer>(_ analyzer: A, order: [Int]? = nil) throws -> Report {
    try analyzer.report(records(analyzer, order: order), plan: plan)
  }
}

extension FeatureStudy.Layer {
  /// Rows of features: `[N, C]`.
  static func rows(_ name: String, _ values: [Float], columns: Int) -> Self {
    Self(tap: Tap(name, .mlp, layout: .vector, roles: .block), shape: [columns], values: values)
  }

  /// Maps `[N, H, W, C]`.
  static func maps(
    _ name: String, _ values: [Float], _ height: Int, _ width: Int, _ channels: Int,
    kind: Tap.Kind = .conv
  ) -> Self {
    Self(
      tap: Tap(name, kind, layout: .featureMap, roles: .sequence),
      shape: [height, width, channels],
      values: values)
  }

  /// Attention `[N, heads, T, T]`; with windows, `[N, windows, heads, T, T]`.
  static func attention(
    _ name: String, _ values: [Float], windows: Int? = nil, heads: Int, _ height: Int,
    _ width: Int, prefix: Int = 0
  ) -> Self {
    let tokens = prefix + height * width
    return Self(
      tap: Tap(
        name, .attentionMap, layout: .attention(height: height, width: width, prefix: prefix)),
      shape: (windows.map { [$0] } ?? []) + [heads, tokens, tokens], values: values)
  }

  /// Weights `[N] + shape` by which places are mixed.
  static func connections(
    _ name: String, _ values: [Float], _ shape: [Int], _ connections: Connections
  ) -> Self {
    Self(
      tap: Tap(name, .attentionMap, layout: .connections(connections)), shape: shape,
      values: values)
  }

  /// Tokens `[N, prefix + H W, C]`.
  static func tokens(
    _ name: String, _ values: [Float], _ height: Int, _ width: Int, _ channels: Int, prefix: Int,
    kind: Tap.Kind = .msa
  ) -> Self {
    Self(
      tap: Tap(
        name, kind, layout: .tokens(height: height, width: width, prefix: prefix),
        roles: .sequence), shape: [prefix + height * width, channels], values: values)
  }
}

/// Standard normal numbers; a different purpose gives different ones.
func normals(_ count: Int, _ purpose: String, scale: Double = 1, offset: Double = 0) -> [Float] {
  CounterRandom(seed: 7, purpose: purpose).normals(count).map { Float($0 * scale + offset) }
}

extension Report {
  func table(_ name: String) -> Table? { tables.first { $0.name == name } }

  /// The numbers of a column; nil where a cell is empty.
  func reals(_ column: String, of table: String) -> [Double?] {
    (self.table(table)?.cells(column) ?? []).map {
      switch $0 {
      case .real(let value): value
      case .integer(let value): Double(value)
      default: nil
      }
    }
  }

  /// The words of a column.
  func texts(_ column: String, of table: String) -> [String] {
    (self.table(table)?.cells(column) ?? []).map {
      if case .text(let text) = $0 { text } else { "" }
    }
  }

  /// Everything that would be written.
  var files: [String] { tables.map(\.csv) + figures.map(\.svg) }
}

/// Whether two numbers agree: to `tolerance` of the larger, or of 1 if both are smaller.
func agrees(_ a: Double?, _ b: Double?, _ tolerance: Double) -> Bool {
  guard let a, let b else { return a == nil && b == nil }
  return abs(a - b) <= tolerance * max(1, abs(a), abs(b))
}

/// The Float32 numbers of a file beside the tests.
func fixture(_ name: String) throws -> [Float] {
  let bytes = try fixtureBytes(name)
  return stride(from: 0, to: bytes.count - 3, by: 4).map { at in
    var bits: UInt32 = 0
    for byte in bytes[at..<(at + 4)].reversed() { bits = bits << 8 | UInt32(byte) }
    return Float(bitPattern: bits)
  }
}

struct MissingFixture: Error { let path: String }

func fixtureBytes(_ name: String) throws -> [UInt8] {
  let folder = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast()
  let path = folder.joined(separator: "/") + "/Fixtures/" + name
  guard let file = fopen(path, "rb") else { throw MissingFixture(path: path) }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while true {
    let count = fread(&buffer, 1, buffer.count, file)
    if count == 0 { return bytes }
    bytes += buffer[..<count]
  }
}
