import Diagnostics
import Models
import Tensors

/// Runs networks on images with noise.
public struct RobustnessEvaluation: VariantEvaluation {
  /// The noise.
  public let study: RobustnessStudy
  private let networks: [any Network]

  /// Noise in rings around the given frequencies.
  ///
  /// - Throws: ``VitProbeError`` for a model whose images are not square.
  public init(
    _ subjects: [ModelSubject], noise: FrequencyNoise, frequencies: [Double]
  ) throws(VitProbeError) {
    for subject in subjects where subject.network.inputShape.side == nil {
      let shape = subject.network.inputShape
      throw VitProbeError(
        .badData,
        "\(subject.label) takes images of \(shape.height) x \(shape.width) pixels; a ring of "
          + "frequencies is of square ones")
    }
    study = RobustnessStudy(noise, frequencies: frequencies)
    networks = subjects.map(\.network)
  }

  /// The images with noise, and a minibatch that others have in hand.
  public func heldBytes(of model: Int, images: Int) -> Int {
    let shape = networks[model].inputShape
    return 4 * images * shape.height * shape.width * shape.channels * (1 + BatchesInHand.limit)
  }

  /// Runs a model on normalised images with noise.
  public func run(_ variant: Int, of model: Int, on batch: BatchInHand) throws -> VariantOutput {
    let shape = networks[model].inputShape
    let (side, count) = (shape.height, shape.height * shape.width * shape.channels)
    let ring = study.noise.ring(study.frequencies[variant], side: side)
    var values = batch.images.values
    var squares: [Double] = []
    values.withUnsafeMutableBufferPointer { values in
      for (index, id) in batch.minibatch.ids.enumerated() {
        squares.append(
          study.noise.add(
            ring,
            to: UnsafeMutableBufferPointer(
              rebasing: values[(index * count)..<((index + 1) * count)]),
            id: id, side: side, channels: shape.channels))
      }
    }
    return VariantOutput(
      networks[model](Tensor(values, shape: batch.images.shape)), inputChanges: squares)
  }
}
