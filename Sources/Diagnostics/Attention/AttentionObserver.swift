import CKernels
import Glibc
import Tensors

/// Takes the statistics of each image as tokens and maps pass.
final class AttentionObserver: BatchObserver {
  private let settings: AttentionSettings
  private let layers: [[AttentionLayer]]
  private let starts: [Int]
  private var record: [AttentionAnalyzer.Record.Layer]
  private var images = 0
  /// The last maps of each series, of one subject at a time.
  private var earlier: [String: (tap: Int, value: Tensor)] = [:]
  private var subject = 0

  init(_ settings: AttentionSettings, plan: Plan) {
    self.settings = settings
    layers = plan.subjects.map { AttentionLayer.layers(of: $0, settings: settings) }
    starts = plan.starts
    record = layers.flatMap { $0.map { _ in AttentionAnalyzer.Record.Layer() } }
  }

  func observe(subject: Int, tap: Int, value: Tensor) {
    if subject != self.subject { earlier = [:] }
    self.subject = subject
    images = value.shape[0]
    let layer = layers[subject][tap]
    switch layer.content {
    case .undefined: return
    case .tokens(let grid):
      record[starts[subject] + tap] = tokenRecord(value, grid)
    case .maps(let grid):
      let before = earlier[layer.series].flatMap {
        $0.tap == layer.predecessor && layer.isComparable ? $0.value : nil
      }
      record[starts[subject] + tap] = mapRecord(value, layer, grid, before: before)
      earlier[layer.series] = (tap, value)
    }
  }

  func finish() -> AttentionAnalyzer.Record {
    earlier = [:]
    return AttentionAnalyzer.Record(images: images, layers: record)
  }

  // MARK: Tokens

  private func tokenRecord(_ value: Tensor, _ grid: MapGrid) -> AttentionAnalyzer.Record.Layer {
    var rows = ImageRows(images: images, values: 1)
    rows.fill { rows in
      grid.forEachImage(of: value) { image, tokens in
        let row = rows.row(image)
        let (count, width) = (grid.positions, grid.channels)
        guard ck_first_nonfinite(tokens, count * width) == count * width else {
          row.isFinite = 0
          return
        }
        let sum = [Double](unsafeUninitializedCapacity: width) { buffer, filled in
          guard let base = buffer.baseAddress else { return }
          let used = ck_sum_of_directions(tokens, count, width, base)
          row.zeroTokens = Double(count - used)
          filled = width
        }
        let n = Double(count) - row.zeroTokens
        let square = sum.reduce(0) { $0 + $1 * $1 }
        row.values[0] = n > 1 ? (square - n) / (n * (n - 1)) : .nan
      }
    }
    return rows.layer { _, _ in true }
  }

  // MARK: Maps

  private func mapRecord(
    _ value: Tensor, _ layer: AttentionLayer, _ grid: AttentionGrid, before: Tensor?
  ) -> AttentionAnalyzer.Record.Layer {
    let images = images
    let measure = MapMeasure(layer, grid, settings)
    var rows = ImageRows(images: images, values: layer.cells.count)
    rows.fill { rows in
      value.withValues { buffer in
        guard let base = buffer.baseAddress, !buffer.isEmpty else { return }
        precondition(
          buffer.count == images * grid.stride, "\(value.shape) is not of the planned shape")
        let maps = DisjointWrites(UnsafeMutablePointer(mutating: base))
        func run(_ other: DisjointWrites<Float>?) {
          Threads.forEach(images) { image in
            let at = image * grid.stride
            measure(
              UnsafePointer(maps.pointer + at),
              before: other.map { UnsafePointer($0.pointer + at) },
              takesRank: image < measure.rankImages, rows.row(image))
          }
        }
        guard let before else { return run(nil) }
        before.withValues { buffer in
          run(buffer.baseAddress.map { DisjointWrites(UnsafeMutablePointer(mutating: $0)) })
        }
      }
    }
    return rows.layer { cell, image in
      layer.cells[cell].statistic != .effectiveRank || image < settings.rankImages
    }
  }
}

/// What each image of a minibatch has to say of a layer; each parallel step writes a row of its own.
private struct ImageRows {
  /// Numbers beside the values.
  private static let flags = 3
  private let images: Int
  private let stride: Int
  private var numbers: [Double]

  init(images: Int, values: Int) {
    self.images = images
    stride = values + Self.flags
    numbers = [Double](repeating: .nan, count: images * stride)
    for image in 0..<images {
      for (flag, initial) in [1.0, 0, 0].enumerated() { numbers[image * stride + flag] = initial }
    }
  }

  /// Shares the rows among parallel steps.
  mutating func fill(_ body: (Rows) -> Void) {
    let stride = stride
    numbers.withUnsafeMutableBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      body(Rows(base: DisjointWrites(base), stride: stride))
    }
  }

  struct Rows: Sendable {
    let base: DisjointWrites<Double>
    let stride: Int
    func row(_ image: Int) -> ImageRow { ImageRow(base.pointer + image * stride) }
  }

  /// The moments over images, in their order.
  ///
  /// - Parameters:
  ///   - isTaken: whether a value was asked for.
  func layer(
    isTaken: (_ cell: Int, _ image: Int) -> Bool
  ) -> AttentionAnalyzer.Record.Layer {
    var layer = AttentionAnalyzer.Record.Layer()
    layer.cells = Array(repeating: AttentionMoments(), count: stride - Self.flags)
    for image in 0..<images {
      let row = numbers[image * stride..<(image + 1) * stride]
      let start = row.startIndex
      guard row[start] == 1 else { return AttentionAnalyzer.Record.Layer(isFinite: false) }
      layer.hasNegativeWeights = layer.hasNegativeWeights || row[start + 1] != 0
      layer.zeroTokens += Int(row[start + 2])
      for cell in layer.cells.indices where isTaken(cell, image) {
        let value = row[start + Self.flags + cell]
        layer.cells[cell].add(value.isFinite ? value : nil)
      }
    }
    return layer
  }
}

/// The numbers of one image: NaN for what is not defined.
struct ImageRow {
  private let base: UnsafeMutablePointer<Double>

  init(_ base: UnsafeMutablePointer<Double>) { self.base = base }

  /// 1 or 0.
  var isFinite: Double {
    get { base[0] }
    nonmutating set { base[0] = newValue }
  }
  /// 1 or 0.
  var hasNegativeWeights: Double {
    get { base[1] }
    nonmutating set { base[1] = newValue }
  }
  /// Tokens without a direction.
  var zeroTokens: Double {
    get { base[2] }
    nonmutating set { base[2] = newValue }
  }
  /// One for each cell.
  var values: UnsafeMutablePointer<Double> { base + 3 }
}
