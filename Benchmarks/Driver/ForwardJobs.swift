import Checkpoints
import Models
import Tensors

/// An untrained model, or an exported graph, and minibatches of random images: `model` (a name, or a file `.pt2` or
/// `.onnx`), `batch`, `n`, `compute` (how products are computed).
struct ForwardJob: Sendable {
  let network: any Network
  /// The family of the model; `graph` for an exported one.
  let family: String
  let batches: [Tensor]
  let batchSize: Int
  private let sharesBatches: Bool

  /// - Parameters:
  ///   - arguments: `parallel=batches` (as the command does it: one thread a minibatch) or `tiles` (all
  ///     threads on one minibatch after the other).
  init(_ arguments: Arguments) throws {
    let name = arguments.text("model", "vit_tiny_patch16_224")
    let compute = arguments.text("compute", "float32")
    guard let precision = ProductPrecision(rawValue: compute), precision.isAvailable else {
      throw Arguments.Mistake(description: "compute=\(compute) is not to be had here")
    }
    let network: any Network
    if name.hasSuffix(".pt2") || name.hasSuffix(".onnx") {
      (network, family) = (try graph(name), "graph")
    } else {
      let architecture = try Architecture(name)
      (network, family) = (try ModelLoader.random(architecture, seed: 0), architecture.family)
    }
    self.network = network.computing(in: precision)
    let size = network.inputShape
    batchSize = try arguments.integer("batch", 32)
    sharesBatches = arguments.text("parallel", "batches") == "batches"
    let total = try arguments.integer("n", 64)
    let batchSize = batchSize
    batches = stride(from: 0, to: total, by: batchSize).map { first in
      Tensor.normal(
        [min(batchSize, total - first), size.height, size.width, size.channels],
        seed: UInt64(first + 1))
    }
  }

  var imageCount: Int { batches.reduce(0) { $0 + $1.shape[0] } }

  func forEachBatch(_ body: @Sendable (Int) -> Void) {
    if sharesBatches {
      Threads.perform(batches.count, width: Threads.count, body)
    } else {
      for index in batches.indices { body(index) }
    }
  }
}

/// The network of an exported graph.
func graph(_ path: String) throws -> any Network {
  let checkpoint = try Checkpoint.open(path)
  guard let program = checkpoint.program else {
    throw Arguments.Mistake(description: "\(path) holds no graph")
  }
  return try GraphLoader.load(checkpoint, program) { $0 == $1 }.network
}

/// Forward passes with the values of all blocks kept until the next minibatch: `model`, `batch`, `n`.
func forwardJob(_ arguments: Arguments) throws -> Measurement {
  let job = try ForwardJob(arguments)
  let taps = try ModelSummary(job.network, batchSize: 1)
  let blocks = Set(taps.taps(.block).map(\.tap.name))
  let repeats = try arguments.integer("repeats", 3)
  var measurement = Measurement(repeats: repeats) {
    job.forEachBatch { index in
      let capture = Capture { blocks.contains($0.name) }
      _ = job.network(job.batches[index], Context(probe: capture))
      precondition(capture.values.count == blocks.count, "Not every block was offered")
    }
  }
  measurement.add("images_per_s", Double(job.imageCount) / measurement.seconds)
  measurement.add(work: 2 * Double(taps.multiplyAdds * job.imageCount))
  measurement.add("blocks", Double(blocks.count))
  measurement.add("tensor_mib", Double(peakTensorBytes()) / 1_048_576)
  return measurement
}

/// One product `[m, k] [n, k]ᵀ` after another: `m`, `n`, `k`.
func gemmJob(_ arguments: Arguments) throws -> Measurement {
  let (m, n, k) = (
    try arguments.integer("m", 1576), try arguments.integer("n", 3072),
    try arguments.integer("k", 768)
  )
  let (a, b) = (Tensor.normal([m, k], seed: 1), Tensor.normal([n, k], seed: 2))
  let work = 2 * Double(m) * Double(n) * Double(k)
  let times = max(1, Int(2e10 / work))
  var measurement = Measurement(repeats: try arguments.integer("repeats", 3)) {
    for _ in 0..<times { _ = linear(a, b) }
  }
  measurement.add(work: work * Double(times))
  return measurement
}

extension Tensor {
  /// Standard normal values from a seed.
  static func normal(_ shape: Shape, seed: UInt64) -> Tensor {
    let random = CounterRandom(seed: seed, purpose: "benchmark")
    return Tensor(shape: shape) { buffer in
      nonisolated(unsafe) let buffer = buffer
      let chunk = 1 << 16
      Threads.forEach((buffer.count + chunk - 1) / chunk) { part in
        for index in (part * chunk)..<min(buffer.count, (part + 1) * chunk) {
          buffer[index] = Float(random.normal(at: UInt64(index)))
        }
      }
    }
  }
}
