import Glibc
import Images
import Models
import Tensors
import Testing

@testable import VitProbe

/// What must hold of the Hessian of every family, and of the bundled checkpoints.
@Suite struct HessianFamilyTests {
  static let architectures = [
    "vit(image=16,patch=4,dim=24,depth=2,heads=3,classes=7)",
    "vit(image=16,patch=4,dim=24,depth=1,heads=3,classes=7,registers=2,layer-scale=true,"
      + "perceptron=swiglu,mlp=40,pool=token-and-average)",
    "resnet(image=16,stem=cifar,depths=1-1,block=basic,width=6,classes=7)",
    "resnet(image=16,stem=cifar,depths=1-1,width=4,classes=7,preact=true)",
    "swin(image=16,patch=2,window=4,dim=12,depths=2-2,heads=1-2,classes=7)",
    "hdv-swin(image=16,window=2,dims=8-16,depths=2-2,head-dim=4,heads=2-4,mlp=16-32,pools=2-2,"
      + "classes=7)",
    "pit(image=16,patch=4,stride=2,dims=12-24,depths=1-1,heads=2-4,classes=7)",
    "mixer(image=16,patch=4,dim=16,depth=2,token-mlp=8,mlp=32,classes=7)",
    "alternet(image=16,stem=cifar,depths=1-2-2,msa=0-1-1,block=basic,width=4,heads=1-1-2,"
      + "head-dim=6,window=2,classes=7)",
    "refiner(image=16,patch=4,dim=12,depth=2,heads=3,classes=7)",
    "refiner_vit(image=16,patch=4,dim=12,depth=4,heads=3,classes=7)",
  ]

  /// One minibatch of a model, with its products.
  private struct Study {
    let loaded: LoadedModel
    let vector: ParameterVector
    let batch: LossBatch
    let hessian: NetworkHessian

    init(_ loaded: LoadedModel, images: Tensor, labels: [Int]) throws {
      self.loaded = loaded
      let classes = try #require(loaded.model.classCount)
      let (images, targets) = TrainingLoss().prepare(
        images, labels: labels, classes: classes, batch: 0)
      batch = LossBatch(images: images, targets: targets)
      vector = try ParameterVector(loaded, globs: [], label: "m")
      hessian = try NetworkHessian(loaded, parameters: vector, batches: [batch], memory: 1 << 30)
    }

    func direction(_ stream: Int) -> [Double] {
      CounterRandom(seed: 4, purpose: "direction", stream: UInt64(stream)).normals(vector.count)
    }

    /// The gradient at the parameters plus `step` times a direction.
    func gradient(_ direction: [Double], _ step: Double) throws -> [Double] {
      let parts = zip(vector.selected, vector.split(direction)).map { $0.tensor + Float(step) * $1 }
      let curvature = try LossCurvature(at: parts) { tracked throws(ParameterError) in
        let model = try loaded.rebuilt(with: vector.merged(with: tracked))
        return (1 / Float(batch.count))
          * model(batch.images).crossEntropy(targets: batch.targets).sum()
      }
      return curvature.gradient.flatMap { $0.values.map(Double.init) }
    }
  }

  private func noise(_ shape: Shape) -> Tensor {
    let values = CounterRandom(seed: 9, purpose: "images").normals(shape.count)
    return Tensor(values.map(Float.init), shape: shape)
  }

  private func study(_ text: String) throws -> Study {
    let architecture = try Architecture(text)
    let side = architecture.configuration.imageSize.side
    return try Study(
      ModelLoader.random(architecture, seed: 3),
      images: noise([3, side, side, architecture.configuration.channels]), labels: [0, 3, 6])
  }

  private func checkSymmetry(_ study: Study, _ name: String, pairs: Int = 3) throws {
    for pair in 0..<pairs {
      let (u, v) = (study.direction(2 * pair), study.direction(2 * pair + 1))
      let products = try study.hessian.apply([u, v])
      let difference = abs(dot(u, products[1]) - dot(v, products[0]))
      #expect(difference <= 1e-5 * norm(u) * norm(products[1]), "\(name)")
    }
  }

  @Test(arguments: architectures) func isSymmetric(_ text: String) throws {
    try checkSymmetry(study(text), text)
  }

  /// Rectifiers have kinks, which differences cross and products do not.
  static let smooth = architectures.filter { text in
    !["resnet", "alternet", "refiner_vit"].contains { text.hasPrefix($0) }
  }

  /// v'Hv against the slope of the gradient along v, by differences of fourth order in Float32.
  @Test(arguments: smooth) func curvatureIsTheSlopeOfTheGradient(_ text: String) throws {
    let study = try study(text)
    var v = study.direction(0)
    let size = norm(v)
    v = v.map { $0 / size }
    let product = try study.hessian.apply([v])[0]
    let h = 0.02
    let (a, b) = (try study.gradient(v, -2 * h), try study.gradient(v, -h))
    let (c, d) = (try study.gradient(v, h), try study.gradient(v, 2 * h))
    let slopes = a.indices.map { (a[$0] - 8 * b[$0] + 8 * c[$0] - d[$0]) / (12 * h) }
    #expect(abs(dot(slopes, v) - dot(product, v)) <= 1e-3 * norm(product), "\(text)")
    // Entry by entry, Float32 gradients have fewer digits to spare.
    #expect(distance(slopes, product) <= 5e-2, "\(text)")
  }

  static let bundled = BundledData.checkpoints.filter { name in
    (try? BundledData.checkpoint(name)) != nil
  }

  @Test func thereAreBundledCheckpoints() { #expect(Self.bundled.contains("resnet")) }

  @Test(arguments: bundled) func bundledCheckpoints(_ name: String) throws {
    let subject = try #require(
      try openSubject(
        SubjectArgument("demo:\(name)"), label: nil, preprocessing: PreprocessingOverrides(),
        features: FeatureLayout()) as? ModelSubject)
    let data = try DataArgument(path: nil, limit: 3).open()
    let batch = Minibatch(
      try data.batch(0, of: BatchPlan(count: 3, batchSize: 3, minimum: 1)))
    let study = try Study(
      subject.loaded, images: subject.images(of: batch), labels: batch.labels.compactMap(\.self))
    try checkSymmetry(study, name, pairs: 1)
  }
}
