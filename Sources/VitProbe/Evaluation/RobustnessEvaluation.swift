import Diagnostics
import Images
import Models
import Tensors

/// Runs networks on images that were changed.
public struct RobustnessEvaluation: VariantEvaluation {
  /// What is done to images.
  public let study: RobustnessStudy
  private let subjects: [ModelSubject]

  /// A study of the given changes.
  ///
  /// - Throws: ``VitProbeError`` for a model whose images are not square, where noise has a frequency.
  public init(
    _ subjects: [ModelSubject], noise: FrequencyNoise, _ perturbations: [Perturbation]
  ) throws(VitProbeError) {
    study = RobustnessStudy(noise, perturbations)
    self.subjects = subjects
    let hasRings = perturbations.contains { if case .frequencyNoise = $0 { true } else { false } }
    for subject in subjects where hasRings && subject.network.inputShape.side == nil {
      let shape = subject.network.inputShape
      throw VitProbeError(
        .badData,
        "\(subject.label) takes images of \(shape.height) x \(shape.width) pixels; a ring of "
          + "frequencies is of square ones")
    }
  }

  /// The changed images, and a minibatch that others have in hand.
  public func heldBytes(of model: Int, images: Int) -> Int {
    let shape = subjects[model].network.inputShape
    return 4 * images * shape.height * shape.width * shape.channels * (1 + BatchesInHand.limit)
  }

  /// Runs a model on changed images.
  public func run(_ variant: Int, of model: Int, on batch: BatchInHand) throws -> VariantOutput {
    let subject = subjects[model]
    let shape = subject.network.inputShape
    let count = shape.height * shape.width * shape.channels
    let change: (UnsafeMutableBufferPointer<Float>, String) -> Double
    switch study.perturbations[variant] {
    case .frequencyNoise(let frequency):
      let ring = study.noise.ring(frequency, side: shape.height)
      change = { image, id in
        study.noise.add(ring, to: image, id: id, side: shape.height, channels: shape.channels)
      }
    case .corruption(let corruption):
      change = { image, id in corrupt(image, corruption, id: id, shape, subject.transform) }
    }
    var values = batch.images.values
    var squares: [Double] = []
    values.withUnsafeMutableBufferPointer { values in
      for (index, id) in batch.minibatch.ids.enumerated() {
        let own = UnsafeMutableBufferPointer(
          rebasing: values[(index * count)..<((index + 1) * count)])
        squares.append(change(own, id))
      }
    }
    return VariantOutput(
      subject.network(Tensor(values, shape: batch.images.shape)), inputChanges: squares)
  }

  /// Corrupts a normalised image in its own samples.
  ///
  /// - Returns: the mean square of the change of normalised values.
  private func corrupt(
    _ image: UnsafeMutableBufferPointer<Float>, _ corruption: Corruption, id: String,
    _ shape: ImageShape, _ transform: ImageTransform
  ) -> Double {
    let (mean, std) = (transform.mean.map(Double.init), transform.std.map(Double.init))
    var samples = image.indices.map { index in
      let channel = index % shape.channels
      return mean[channel] + std[channel] * Double(image[index])
    }
    corruption.apply(
      to: &samples, height: shape.height, width: shape.width, channels: shape.channels, id: id,
      seed: study.noise.seed)
    var square = 0.0
    for index in image.indices {
      let channel = index % shape.channels
      let new = Float((samples[index] - mean[channel]) / std[channel])
      let difference = Double(new) - Double(image[index])
      square += difference * difference
      image[index] = new
    }
    return square / Double(max(1, image.count))
  }
}
