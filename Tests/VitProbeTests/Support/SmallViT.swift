import Checkpoints
import Images
import Models
import Tensors
import Testing

@testable import VitProbe

/// A vision transformer of 1083 parameters whose dense Hessians are known from float64
/// (`Fixtures/hessian/small_vit.py`).
struct SmallViT {
  static let architecture = "vit(image=8,patch=4,dim=8,depth=1,heads=2,classes=3)"
  let subject: ModelSubject
  let data: ImageDataSet
  private let golden: Checkpoint

  static var folder: String {
    String(#filePath.dropLast("Support/SmallViT.swift".count)) + "Fixtures/hessian/"
  }

  init(label: String = "small") throws {
    golden = try Checkpoint.open(Self.folder + "small-vit-hessian.safetensors")
    subject = try ModelSubject(
      ModelLoader.load(
        Checkpoint.open(Self.folder + "small-vit.safetensors"),
        as: Architecture(Self.architecture)), label: label, inputFiles: [])
    let images = try #require(golden["images"]).floats()
    let labels = try #require(golden["labels"]).floats().map { Int($0) }
    data = try ImageDataSet(
      ArrayImages(
        name: "images", shape: [10, 3, 8, 8], element: .float32,
        bytes: images.withUnsafeBytes { Array($0) }, labels: labels), name: "images")
  }

  func values(_ name: String) throws -> [Double] {
    try #require(golden[name]).floats().map(Double.init)
  }

  /// All eigenvalues of the dense Hessian of a loss, ascending.
  func eigenvalues(_ loss: String) throws -> [Double] { try values("eigenvalues/\(loss)") }

  func loss(_ loss: String) throws -> Double { try #require(values("loss/\(loss)").first) }

  /// Minibatches as the loss sees them.
  func batches(
    _ loss: TrainingLoss = TrainingLoss(), size: Int = 4, numbers: [Int] = [0]
  ) throws -> [LossBatch] {
    let plan = BatchPlan(count: data.count, batchSize: size, minimum: 1)
    return try numbers.map { number in
      let batch = Minibatch(try data.batch(number, of: plan))
      let (images, targets) = loss.prepare(
        try subject.images(of: batch), labels: batch.labels.compactMap(\.self), classes: 3,
        batch: number)
      return LossBatch(images: images, targets: targets)
    }
  }

  func hessian(
    _ batches: [LossBatch], parameters globs: [String] = [], memory: Int = 1 << 30
  ) throws -> NetworkHessian {
    try NetworkHessian(
      subject.network, parameters: ParameterVector(subject.network, globs: globs, label: "small"),
      batches: batches, memory: memory)
  }
}

/// x·y
func dot(_ x: [Double], _ y: [Double]) -> Double { zip(x, y).reduce(0) { $0 + $1.0 * $1.1 } }

/// |x|
func norm(_ x: [Double]) -> Double { dot(x, x).squareRoot() }

/// |x - y| / |y|
func distance(_ x: [Double], _ y: [Double]) -> Double {
  norm(zip(x, y).map { $0 - $1 }) / norm(y)
}
