import DurableFiles
import Glibc
import Reports
import Synchronization

/// The products of a long solver that is at work, in the output folder: those that an earlier run
/// left, and those that come.
///
/// A product is taken from the file only for the vector that it was made of; from the first that does
/// not fit, the file is cut off.
final class HessianProductLog: Sendable {
  private struct State {
    /// A file that an earlier run left, as long as it is read.
    var earlier: ProductFile?
    /// The model in hand.
    var head: ProductFile.Head?
    var file: AppendFile?
    /// Products of the model in hand that stand in the file.
    var count = 0
    var length = 0
    var lastSync = ContinuousClock.now
    var remarks: [String] = []
  }

  private let path: String
  private let digest: String
  private let kernels: String
  private let ranks: Int
  private let limit: Int
  private let state: Mutex<State>
  /// Whole products that an earlier run left, and of which model.
  let found: (model: Int, count: Int)?

  /// - Parameters:
  ///   - folder: the path of the output folder, which this process has locked.
  ///   - limit: bytes that the file may take; nil for half of what is free there.
  init(
    in folder: String, header: RecordHeader, resuming: Bool, ranks: Int, limit: Int?
  ) {
    path = OutputFolder.productsPath(in: folder)
    digest = header.outline.digest
    kernels = header.outline.kernels
    self.ranks = ranks
    var state = State()
    if resuming, let earlier = ProductFile(path), earlier.head.digest == digest {
      let size = earlier.size - earlier.position
      found = (earlier.head.model, size / ProductFile.bytes(earlier.head.dimension))
      if earlier.head.kernels != kernels || earlier.head.ranks != ranks {
        state.remarks.append(
          "the earlier products were computed by \(earlier.head.ranks) processes with the BLAS "
            + "kernels \(earlier.head.kernels), the others by \(ranks) with \(kernels): they agree "
            + "to rounding, not to the last bit")
      }
      state.earlier = earlier
    } else {
      found = nil
    }
    // What an earlier run has taken of the space is ours.
    self.limit = limit ?? (Self.freeBytes(in: folder) + (state.earlier?.size ?? 0)) / 2
    self.state = Mutex(state)
  }

  /// Products of the model in hand that are kept.
  var count: Int { state.withLock { $0.count } }

  /// Remarks for the user: what was found, and what could not be kept.
  var remarks: [String] { state.withLock { $0.remarks } }

  /// Whether one more product of the model in hand may be kept.
  var hasRoom: Bool {
    state.withLock { state in
      guard let head = state.head else { return false }
      let size = ProductFile.bytes(head.dimension)
      let (after, overflow) = state.length.addingReportingOverflow(size)
      if !overflow, after <= limit { return true }
      let remark =
        "the products beyond the first \(state.count) of a model were not kept, for want of room; "
        + "`keptBytes` gives more"
      if !state.remarks.contains(remark) { state.remarks.append(remark) }
      return false
    }
  }

  /// Takes up a model.
  func begin(model: Int, dimension: Int) {
    state.withLock { state in
      state.head = ProductFile.Head(
        digest: digest, model: model, dimension: dimension, ranks: ranks, kernels: kernels)
      (state.count, state.length, state.file) = (0, 0, nil)
      guard let earlier = state.earlier else { return }
      if earlier.head.model == model, earlier.head.dimension == dimension {
        state.length = earlier.position
      } else {
        state.earlier = nil
      }
    }
  }

  /// The product of the next vector, if an earlier run has left it.
  func next(for vector: [Double]) -> [Float]? {
    state.withLock { state -> [Float]? in
      guard let earlier = state.earlier else { return nil }
      if let product = earlier.product(of: vector) {
        let size = ProductFile.bytes(vector.count)
        state.earlier?.position += size
        state.count += 1
        state.length += size
        return product
      }
      // Those that follow are of vectors that came after this one.
      let rest = (earlier.size - earlier.position) / ProductFile.bytes(vector.count)
      if rest > 0 {
        state.remarks.append(
          "\(rest) kept products do not fit what is computed now; they were made again")
      }
      state.earlier = nil
      // Cut off behind what was read, and gone on with. If that fails, a new file will say so.
      state.file = state.count > 0 ? try? AppendFile(continuing: path, after: state.length) : nil
      if state.file == nil { state.count = 0 }
      return nil
    }
  }

  /// Keeps a product.
  ///
  /// - Throws: `FileError`.
  func append(_ product: [Float], of vector: [Double]) throws {
    try state.withLock { state in
      guard let head = state.head else { return }
      let file: AppendFile
      if let open = state.file {
        file = open
      } else {
        let start = try head.line()
        file = try AppendFile(creating: path, head: start)
        (state.file, state.count, state.length) = (file, 0, start.count)
      }
      let key = ProductFile.key(vector)
      try file.append(key)
      try product.withUnsafeBytes { try file.append($0) }
      try file.append(ProductFile.checksum(key, product))
      state.count += 1
      state.length += ProductFile.bytes(head.dimension)
      // A process that dies loses nothing; against a machine that does, every few seconds will do.
      let now = ContinuousClock.now
      if now - state.lastSync > .seconds(5) {
        try file.sync()
        state.lastSync = now
      }
    }
  }

  /// Makes what is kept durable.
  func sync() throws { try state.withLock { try $0.file?.sync() } }

  /// Drops the products of a model that is done with.
  func remove() {
    state.withLock { state in
      (state.file, state.earlier, state.head) = (nil, nil, nil)
      (state.count, state.length) = (0, 0)
    }
    AppendFile.remove(path)
  }

  // MARK: The machine

  private static func freeBytes(in folder: String) -> Int {
    var status = statvfs()
    guard statvfs(folder, &status) == 0 else { return 0 }
    let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(
      by: UInt64(status.f_frsize))
    return overflow ? .max : Int(clamping: bytes)
  }
}
