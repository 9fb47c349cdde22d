import Diagnostics
import Images
import Models
import Tensors

/// Runs networks on images that were changed.
public struct RobustnessEvaluation: VariantEvaluation {
  /// What is done to images.
  public let study: RobustnessStudy
  private let subjects: [ModelSubject]
  /// Bytes of a recorded pass of an image, where gradients are asked for.
  private let recordedBytes: [Int]

  /// A study of the given changes.
  ///
  /// - Parameters:
  ///   - gradient: whether the spectrum of the loss's gradient by the input is asked for.
  /// - Throws: ``VitProbeError`` for a model whose images are not square, where noise has a frequency, and for
  ///   frequencies of the plane that its images are too small for.
  public init(
    _ subjects: [ModelSubject], noise: FrequencyNoise,
    basis: FourierBasisNoise = FourierBasisNoise(), _ perturbations: [Perturbation],
    gradient: Bool = false
  ) throws(VitProbeError) {
    self.subjects = subjects
    let hasFrequencies = gradient || perturbations.contains { $0.corruption == nil }
    let most = perturbations.compactMap(\.basis).map { max(abs($0.ky), abs($0.kx)) }.max() ?? 0
    for subject in subjects where hasFrequencies {
      let shape = subject.network.inputShape
      guard let side = shape.side else {
        throw VitProbeError(
          .badData,
          "\(subject.label) takes images of \(shape.height) x \(shape.width) pixels; a ring of "
            + "frequencies is of square ones")
      }
      guard most == 0 || 2 * most < side else {
        throw VitProbeError(
          .usage,
          "\(subject.label) takes images of \(side) x \(side) pixels, which have no frequency of "
            + "\(most) waves; a `mapSize` of at most \(2 * ((side - 1) / 2) + 1) fits")
      }
    }
    study = RobustnessStudy(
      noise, basis, perturbations,
      gradientSides: gradient ? subjects.compactMap(\.network.inputShape.side) : [])
    var bytes: [Int] = []
    for subject in subjects where gradient {
      do throws(ModelError) {
        bytes.append(try ModelSummary(subject.network).recordedBytes)
      } catch { throw VitProbeError(error) }
    }
    recordedBytes = bytes
  }

  /// Images whose pass is recorded at once.
  private static let gradientImages = 16
  /// Values of a recorded pass and their cotangents.
  private static let passesOfAGradient = 2

  /// The changed images and a recorded pass.
  public func heldBytes(of model: Int, images: Int) -> Int {
    let shape = subjects[model].network.inputShape
    let recorded =
      recordedBytes.isEmpty
      ? 0 : Self.passesOfAGradient * min(images, Self.gradientImages) * recordedBytes[model]
    return 4 * images * shape.height * shape.width * shape.channels + recorded
  }

  /// Runs a model on changed images.
  public func run(
    _ variant: Int, of model: Int, on batch: BatchInHand, beside whole: () throws -> WholePass
  ) throws -> VariantOutput {
    guard study.perturbations.indices.contains(variant) else {
      return gradient(of: model, on: batch)
    }
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
    case .fourierBasis(let frequency):
      let wave = study.basis.wave(frequency, side: shape.height)
      let deviations = subject.transform.std.map(Double.init)
      change = { image, id in study.basis.add(wave, to: image, id: id, deviations: deviations) }
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

  /// Class scores, and the spectrum of the gradient of each image's own loss by its values.
  private func gradient(of model: Int, on batch: BatchInHand) -> VariantOutput {
    let network = subjects[model].network
    let classes = network.classCount ?? 0
    let total = batch.labels.count
    var (logits, gradients) = ([Tensor](), [Tensor]())
    for start in stride(from: 0, to: total, by: Self.gradientImages) {
      let count = min(Self.gradientImages, total - start)
      // An image without a label has no loss, and a gradient of zero.
      var targets = [Float](repeating: 0, count: count * classes)
      for (row, label) in batch.labels[start..<(start + count)].enumerated() {
        if let label, (0..<classes).contains(label) { targets[row * classes + label] = 1 }
      }
      let images = batch.images.slice(axis: 0, start: start, length: count).detached().tracked()
      let scores = network(images)
      let loss = scores.crossEntropy(targets: Tensor(targets, shape: [count, classes])).sum()
      gradients.append(Tensors.gradient(of: loss, withRespectTo: [images])[0])
      logits.append(scores.detached())
    }
    return VariantOutput(
      Tensor.concatenated(logits, axis: 0),
      measures: study.measures(ofGradients: Tensor.concatenated(gradients, axis: 0)))
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
