import Checkpoints
import Diagnostics
import Tensors

/// A file of features: one tensor a layer, the first axis the samples.
struct FeatureFile: Sendable {
  /// A layer and how its rows become values.
  struct Layer: Sendable {
    let planned: PlannedTap
    let rows: TensorRows
    /// Whether rows are `[C, H, W]` and values `[H, W, C]`.
    let isChannelsFirst: Bool

    /// The values of some rows, channels last.
    func values(_ places: [Int]) throws(CheckpointError) -> Tensor {
      var failure: CheckpointError?
      let stored = Tensor(shape: Shape([places.count] + rows.entry.shape.dropFirst())) { buffer in
        do throws(CheckpointError) {
          try rows.copyFloats(places, into: buffer)
        } catch {
          failure = error
        }
      }
      if let failure { throw failure }
      return isChannelsFirst ? stored.permuted([0, 2, 3, 1]) : stored
    }
  }

  /// The layers in order.
  let layers: [Layer]
  /// What the rows are.
  let samples: FeatureSamples
  /// What the file says of itself.
  let metadata: FeatureMetadata
  /// What the user should know.
  let notes: [String]

  private static let idNames: Set<String> = ["ids", "indices", "index"]
  private static let labelNames: Set<String> = ["labels", "y", "targets"]

  /// Whether a tensor is about the samples instead of being a layer.
  private static func isAside(_ entry: TensorEntry) -> Bool {
    entry.shape.count == 1
      && (entry.name == FeatureMetadata.arrayName || idNames.contains(entry.name)
        || labelNames.contains(entry.name))
  }

  /// Whether a file of no known architecture may be one of features: weights have tensors of rank 1.
  static func isPlausible(_ checkpoint: Checkpoint) -> Bool {
    let tensors = checkpoint.tensors.filter { !isAside($0) }
    return checkpoint.format != .torch && !tensors.isEmpty
      && tensors.allSatisfy { (2...4).contains($0.shape.count) }
  }

  /// Opens the layers; reads headers, and what is said of the samples.
  ///
  /// - Parameters:
  ///   - layout: how layers lie, where the file does not say it.
  /// - Throws: `CheckpointError` for a file that does not fit together or cannot be understood.
  init(_ checkpoint: Checkpoint, layout: FeatureLayout) throws(CheckpointError) {
    let path = checkpoint.path
    let metadata = try FeatureMetadata(checkpoint)
    let tensors = checkpoint.tensors.filter { !Self.isAside($0) }
    var notes: [String] = []
    var layers: [Layer] = []
    if let described = metadata.layers {
      for layer in described {
        guard let entry = checkpoint[layer.tap.name] else {
          throw CheckpointError(
            .missing, file: path, place: "metadata \"taps\"",
            found: "no tensor \"\(layer.tap.name)\"", expected: "one for each layer described")
        }
        layers.append(try Self.layer(entry, layer, layout))
      }
      let names = Set(described.map(\.tap.name))
      guard names.count == described.count else {
        throw CheckpointError(
          .malformed, file: path, place: "metadata \"taps\"", found: "a layer described twice",
          expected: "each layer once")
      }
      let others = tensors.filter { !names.contains($0.name) }
      if let first = others.first {
        notes.append(
          "\(others.count) tensor(s) that the metadata do not describe are left out: \(first.name)"
            + (others.count > 1 ? ", …" : ""))
      }
    } else {
      let ordered = Self.ordered(tensors, checkpoint.format)
      if ordered.map(\.name) != tensors.map(\.name) {
        notes.append(
          "layers are taken in the order of the numbers in their names, \(ordered[0].name) … "
            + "\(ordered[ordered.count - 1].name): the file has them sorted as text")
      }
      for entry in ordered { layers.append(try Self.layer(entry, nil, layout)) }
    }
    guard let first = layers.first else {
      throw CheckpointError(
        .missing, file: path, found: "no layer", expected: "at least one tensor of features")
    }
    let count = first.rows.count
    for layer in layers where layer.rows.count != count {
      throw CheckpointError(
        .malformed, file: path, place: "tensor \"\(layer.rows.entry.name)\"",
        found: "\(layer.rows.count) samples",
        expected: "\(count), as in \"\(first.rows.entry.name)\": the first axis is the samples")
    }
    guard count > 0 else {
      throw CheckpointError(.malformed, file: path, found: "no sample", expected: "at least one")
    }
    self.layers = layers
    self.metadata = metadata
    self.notes = notes
    samples = try Self.samples(checkpoint, metadata, count: count)
  }

  // MARK: Layers

  private static func layer(
    _ entry: TensorEntry, _ described: FeatureMetadata.Layer?, _ layout: FeatureLayout
  ) throws(CheckpointError) -> Layer {
    let rows = try TensorRows(entry)
    func failure(_ expected: String, _ advice: String = "") -> CheckpointError {
      CheckpointError(
        .malformed, file: entry.file, place: "tensor \"\(entry.name)\"",
        found: "shape \(entry.shape)", expected: expected, advice: advice)
    }
    guard rows.valuesPerRow > 0 else { throw failure("values for each sample") }
    var tap =
      described?.tap
      ?? Tap(
        entry.name, entry.name == "logits" && entry.shape.count == 2 ? .logits : .other,
        layout: .vector, roles: [.sequence, .block])
    var isChannelsFirst = false
    var shape = Array(entry.shape.dropFirst())
    if let described, described.hasLayout {
      switch tap.layout {
      case .vector where shape.count == 1: break
      case .unknown: break
      case .featureMap where shape.count == 3: break
      case .tokens(let height, let width, let prefix) where shape.count == 2:
        let (places, overflow) = height.multipliedReportingOverflow(by: width)
        guard !overflow, shape[0] >= prefix, shape[0] - prefix == places else {
          throw failure("\(prefix) + \(height) x \(width) tokens, as its metadata say")
        }
      case .connections where shape.count == 3 || shape.count == 4: break
      default: throw failure("the rank of a layout that its metadata say")
      }
    } else {
      let inferred: Tap.Layout
      switch shape.count {
      case 1: inferred = .vector
      case 2: inferred = try tokens(shape[0], layout.prefixTokens, failure)
      case 3: inferred = .featureMap
      default:
        throw failure("[N, T, C] tokens, [N, C, H, W] or [N, H, W, C] maps, or [N, C] vectors")
      }
      tap = Tap(tap.name, tap.kind, layout: inferred, stage: tap.stage, roles: tap.roles)
    }
    if case .featureMap = tap.layout {
      isChannelsFirst = described?.isChannelsFirst ?? (layout.map == .nchw)
      if isChannelsFirst { shape = [shape[1], shape[2], shape[0]] }
    }
    return Layer(
      planned: PlannedTap(tap: tap, shape: shape, position: described?.position), rows: rows,
      isChannelsFirst: isChannelsFirst)
  }

  /// The square grid that is left behind the prefix: none, a class token, one of distillation too, or
  /// a class token with four registers.
  private static func tokens(
    _ count: Int, _ prefix: Int?, _ failure: (String, String) -> CheckpointError
  ) throws(CheckpointError) -> Tap.Layout {
    func side(_ prefix: Int) -> Int? {
      guard count > prefix else { return nil }
      let root = Int(Double(count - prefix).squareRoot().rounded())
      return root * root == count - prefix ? root : nil
    }
    let advice =
      "Give the tokens before the grid's as `prefixTokens`; other grids than squares can be "
      + "said in the metadata \"taps\""
    let known = prefix.map { [$0] } ?? [0, 1, 2, 5]
    let fitting = known.filter { side($0) != nil }
    guard let first = fitting.first, let root = side(first) else {
      throw failure("a square grid behind \(list(known, "or")) tokens", advice)
    }
    guard fitting.count == 1 else {
      throw failure(
        "one way to see a square grid in \(count) tokens, but it is one behind "
          + "\(list(fitting, "and")) of them", advice)
    }
    return .tokens(height: root, width: root, prefix: first)
  }

  private static func list(_ numbers: [Int], _ joint: String) -> String {
    guard let last = numbers.last, numbers.count > 1 else {
      return numbers.map(String.init).joined()
    }
    return numbers.dropLast().map(String.init).joined(separator: ", ") + " \(joint) \(last)"
  }

  /// The safetensors library writes tensors of one type sorted by the bytes of their names, `blocks.10`
  /// before `blocks.2`: that is not an order that anybody chose.
  private static func ordered(
    _ tensors: [TensorEntry], _ format: Checkpoint.Format
  ) -> [TensorEntry] {
    let names = tensors.map { Array($0.name.utf8) }
    let isSorted = zip(names, names.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) }
    guard format == .safetensors, isSorted else { return tensors }
    return tensors.sorted { naturallyPrecedes($0.name, $1.name) }
  }

  // MARK: Samples

  private static func samples(
    _ checkpoint: Checkpoint, _ metadata: FeatureMetadata, count: Int
  ) throws(CheckpointError) -> FeatureSamples {
    let path = checkpoint.path
    var samples = FeatureSamples(name: metadata.data ?? lastComponent(path), count: count)
    samples.labels = metadata.labels
    samples.ids = metadata.ids
    for entry in checkpoint.tensors where isAside(entry) {
      if idNames.contains(entry.name), samples.ids == nil {
        samples.ids = try integers(entry).map(String.init)
      } else if labelNames.contains(entry.name), samples.labels == nil {
        samples.labels = try integers(entry).map { $0 }
      }
    }
    func check(_ what: String, _ found: Int?) throws(CheckpointError) {
      guard let found, found != count else { return }
      throw CheckpointError(
        .malformed, file: path, place: what, found: "\(found) of them",
        expected: "\(count), one for each sample")
    }
    try check("ids", samples.ids?.count)
    try check("labels", samples.labels?.count)
    var seen: Set<String> = []
    if let twice = samples.ids?.first(where: { !seen.insert($0).inserted }) {
      throw CheckpointError(
        .malformed, file: path, place: "ids", found: "\"\(twice)\" twice",
        expected: "a different one for each sample")
    }
    return samples
  }

  /// Whole numbers, exactly.
  private static func integers(_ entry: TensorEntry) throws(CheckpointError) -> [Int] {
    func read<T: FixedWidthInteger>(_ type: T.Type) throws(CheckpointError) -> [Int] {
      let payload = try entry.payload()
      return payload.withBytes { bytes in
        (0..<entry.count).map { index in
          let value = bytes.loadUnaligned(
            fromByteOffset: index * MemoryLayout<T>.size, as: T.self)
          return Int(clamping: T(littleEndian: value))
        }
      }
    }
    switch entry.dtype {
    case .int64: return try read(Int64.self)
    case .int32: return try read(Int32.self)
    case .int16: return try read(Int16.self)
    case .int8: return try read(Int8.self)
    case .uint64: return try read(UInt64.self)
    case .uint32: return try read(UInt32.self)
    case .uint16: return try read(UInt16.self)
    case .uint8: return try read(UInt8.self)
    default:
      throw CheckpointError(
        .malformed, file: entry.file, place: "tensor \"\(entry.name)\"",
        found: "elements of type \(entry.dtype)", expected: "whole numbers",
        advice: "Give it another name if it is no list of ids or labels")
    }
  }
}

/// The last component of a path.
func lastComponent(_ path: String) -> String {
  path.split(separator: "/").last.map(String.init) ?? path
}

/// Whether a name comes before another when runs of digits count as numbers.
func naturallyPrecedes(_ a: String, _ b: String) -> Bool {
  func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }
  let (x, y) = (Array(a.utf8), Array(b.utf8))
  var (i, j) = (0, 0)
  while i < x.count, j < y.count {
    if isDigit(x[i]), isDigit(y[j]) {
      let m = x[i...].prefix(while: isDigit).drop { $0 == 48 }
      let n = y[j...].prefix(while: isDigit).drop { $0 == 48 }
      if m.count != n.count { return m.count < n.count }
      if !m.elementsEqual(n) { return m.lexicographicallyPrecedes(n) }
      i = x[i...].firstIndex { !isDigit($0) } ?? x.count
      j = y[j...].firstIndex { !isDigit($0) } ?? y.count
    } else {
      if x[i] != y[j] { return x[i] < y[j] }
      i += 1
      j += 1
    }
  }
  return x.count - i < y.count - j
}
