import Images
import Models
import Tensors

/// The images on which running statistics of batch normalisation are estimated anew: the first minibatches of
/// a run.
public final class StatisticsImages: Sendable {
  /// Minibatches that are looked at, at most.
  public static let batches = 4

  private let data: SampleSet
  private let plan: BatchPlan
  private let batchLimit: Int
  private let badImages: BadImagePolicy
  private let images = InHand<Int, [Tensor]>(limit: 1)

  /// The first minibatches of a run.
  ///
  /// - Parameters:
  ///   - batchLimit: minibatches of the run; nil for all.
  public init(
    _ data: SampleSet, batchSize: Int, batchLimit: Int? = nil, onBadImage: BadImagePolicy = .fail
  ) {
    self.data = data
    plan = BatchPlan(count: data.count, batchSize: batchSize)
    self.batchLimit = min(Self.batches, plan.batches.count, batchLimit ?? .max)
    badImages = onBadImage
  }

  /// Images that statistics are of.
  var count: Int { plan.batches.prefix(batchLimit).reduce(0) { $0 + $1.count } }

  /// Bytes that the images of a model take.
  func bytes(of shape: ImageShape) -> Int {
    4 * count * shape.height * shape.width * shape.channels
  }

  /// The weights with new statistics: of each buffer, the mean over minibatches of what a pass in training
  /// mode finds, as PyTorch's `torch.optim.swa_utils.update_bn` takes it.
  ///
  /// - Parameters:
  ///   - model: the place of the model in the run.
  func estimate(
    _ tensors: [String: Tensor], model: Int, _ subject: ModelSubject
  ) throws -> [String: Tensor] {
    let images = try images(model) {
      try (0..<batchLimit).map { number in
        let (batch, _) = try data.batch(
          number, of: plan, decoding: true, onBadImage: badImages
        ) { Threads.forEach($0, $1) }
        return try subject.images(of: batch)
      }
    }
    // A pass in training mode gives 0.9 old + 0.1 new: of statistics that are zero, a tenth of the new.
    var blank = tensors
    for parameter in subject.network.parameters where parameter.isRunningStatistic {
      blank[parameter.specification.name] = Tensor(repeating: 0, shape: parameter.tensor.shape)
    }
    let network = try subject.network.rebuilt(with: blank)
    var sums: [String: [Double]] = [:]
    for batch in images {
      let buffers = UpdatedBuffers()
      _ = network(
        batch, Context(training: Training(key: RandomKey(seed: 0, step: 0), buffers: buffers)))
      for (name, tensor) in buffers.values {
        let own = tensor.values.map { 10 * Double($0) / Double(images.count) }
        sums[name] = sums[name].map { zip($0, own).map { $0 + $1 } } ?? own
      }
    }
    var result = tensors
    for (name, sum) in sums {
      guard let shape = tensors[name]?.shape else { continue }
      result[name] = Tensor(sum.map(Float.init), shape: shape)
    }
    return result
  }
}

extension NamedParameter {
  /// Whether it is a running statistic of batch normalisation.
  var isRunningStatistic: Bool {
    let name = specification.name
    return specification.isBuffer
      && (name.hasSuffix("running_mean") || name.hasSuffix("running_var"))
  }
}
