/// What a run will cost, before it starts.
public struct RunEstimate: Sendable {
  /// Images in all.
  public let images: Int
  /// Minibatches.
  public let batches: Int
  /// Images in the largest minibatch.
  public let largestBatch: Int
  /// Bytes of one forward pass, activations and inputs.
  public let passBytes: Int
  /// Bytes of all parameters.
  public let parameterBytes: Int
  /// Bytes that the analyses of one minibatch hold.
  public let analysisBytes: Int
  /// Bytes of what all threads share: minibatches in hand.
  public let sharedBytes: Int
  /// Bytes that are kept of all minibatches until the report.
  public let recordBytes: Int
  /// Minibatches at once.
  public let workers: Int

  /// The program itself with its libraries, and scratch memory of a thread's products.
  static let programBytes = 40 << 20
  static let threadBytes = 36 << 20

  init(
    images: Int, batches: Int, largestBatch: Int, passBytes: Int, parameterBytes: Int,
    analysisBytes: Int, sharedBytes: Int = 0, recordBytes: Int = 0, threads: Int,
    maximumMemory: Int?
  ) {
    self.images = images
    self.batches = batches
    self.largestBatch = largestBatch
    self.passBytes = passBytes
    self.parameterBytes = parameterBytes
    self.analysisBytes = analysisBytes
    self.sharedBytes = sharedBytes
    self.recordBytes = recordBytes
    // Whole minibatches on threads need several for each thread; with fewer, the tiles within an
    // operation run in parallel. Both give the same results.
    var workers = batches >= 2 * threads ? threads : 1
    if let maximumMemory {
      let each = max(1, passBytes + analysisBytes)
      let fixed =
        parameterBytes + sharedBytes + recordBytes + Self.programBytes
        + threads * Self.threadBytes
      workers = max(1, min(workers, (maximumMemory - fixed) / each))
    }
    self.workers = workers
    self.threads = threads
  }

  /// Threads at work.
  public let threads: Int

  /// Bytes in use at once.
  public var totalBytes: Int {
    parameterBytes + sharedBytes + recordBytes + workers * (passBytes + analysisBytes)
      + Self.programBytes + threads * Self.threadBytes
  }
}
