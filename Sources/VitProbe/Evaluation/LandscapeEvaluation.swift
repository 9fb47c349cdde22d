import Diagnostics
import Images
import Models
import Reports
import Tensors

/// Runs networks with weights on a line or plane.
public struct LandscapeEvaluation: VariantEvaluation {
  /// What is asked for, as a user says it.
  public struct Plan: Sendable {
    /// What random directions are made of; of no effect with checkpoints at the ends of axes.
    public var direction = LandscapeStudy.Direction.li
    /// Places along each axis.
    public var axes: [[Double]]
    /// Globs on the names of the tensors that move; empty: those of at least two axes, and all on the way
    /// to a checkpoint.
    public var parameters: [String] = []
    /// Seed of random directions.
    public var seed: UInt64 = 0
    /// The images that running statistics are estimated anew on; nil: they move on the way to a checkpoint,
    /// and are the network's own everywhere else.
    public var statistics: StatisticsImages?

    /// A grid of the given places: one axis, or two.
    public init(axes: [[Double]]) { self.axes = axes }
  }

  private struct Place: Hashable, Sendable {
    let model: Int
    let variant: Int
  }

  private struct Moved: Sendable {
    let network: any Network
    let norms: WeightNorms
  }

  /// The surface.
  public let study: LandscapeStudy
  /// How many tensors move.
  public let notes: [String]
  /// Files of the checkpoints that axes lead to.
  public let inputFiles: [String]
  private let subjects: [ModelSubject]
  private let planes: [WeightPlane]
  /// Where directions are eigenvectors, which are found later.
  private let eigenvectors: LeadingEigenvectors?
  private let statistics: StatisticsImages?
  private let moved = InHand<Place, Moved>(limit: 2 * Threads.count)

  /// Bytes of minibatches that a place is made once for.
  private static let groupBytes = 64 << 20
  /// The least number of them.
  private static let leastGroup = 4

  init(
    _ study: LandscapeStudy, _ subjects: [ModelSubject], _ planes: [WeightPlane], notes: [String],
    inputFiles: [String] = [], eigenvectors: LeadingEigenvectors? = nil,
    statistics: StatisticsImages?
  ) {
    (self.study, self.subjects, self.planes) = (study, subjects, planes)
    (self.eigenvectors, self.inputFiles) = (eigenvectors, inputFiles)
    self.statistics = statistics
    let unmoved = subjects.filter { subject in
      !subject.network.parameters.contains(where: \.isRunningStatistic)
    }.map { "\($0.label) has no running statistics" }
    self.notes =
      planes.map(\.note) + notes
      + (statistics.map {
        [
          "running statistics of batch normalisation are estimated anew at each place, on \($0.count) "
            + "images"
        ] + unmoved
      } ?? [])
  }

  /// Prepares directions.
  ///
  /// - Parameters:
  ///   - targets: the models that axes lead to; none for random directions.
  /// - Throws: ``VitProbeError`` for globs that match nothing, and for a checkpoint of other tensors.
  public init(
    _ subjects: [ModelSubject], to targets: [ModelSubject] = [], _ plan: Plan
  ) throws(VitProbeError) {
    precondition(targets.isEmpty || targets.count == plan.axes.count, "A checkpoint an axis")
    precondition(plan.direction != .hessian || !targets.isEmpty, "A Hessian is of some data")
    var planes: [WeightPlane] = []
    for subject in subjects {
      planes.append(try Self.plane(subject, to: targets, plan))
    }
    let study = LandscapeStudy(
      targets.isEmpty ? plan.direction : .checkpoint, axes: plan.axes,
      targets: targets.map {
        LandscapeStudy.Target(label: $0.label, sha256: $0.weightsDigest)
      },
      seed: plan.seed, parameters: plan.parameters, moving: planes.map(\.moving.count),
      statistics: plan.statistics != nil ? .recompute : targets.isEmpty ? .fixed : .interpolate)
    self.init(
      study, subjects, planes,
      notes: subjects.flatMap { subject in
        targets.filter { $0.preparation != subject.preparation }.map {
          "images are prepared as for \(subject.label); \($0.label) takes others"
        }
      }, inputFiles: targets.flatMap(\.inputFiles), statistics: plan.statistics)
  }

  /// Directions along the leading eigenvectors of the Hessian of the mean loss on the same images.
  ///
  /// - Parameters:
  ///   - data: the images; each has a label.
  ///   - batchLimit: minibatches looked at, from the first; nil for all.
  ///   - memory: bytes for what is recorded of losses and gradients.
  /// - Throws: as ``HessianRun``.
  public init(
    _ subjects: [ModelSubject], hessianOn data: DataArgument, _ plan: Plan, batchSize: Int,
    batchLimit: Int? = nil, memory: Int? = nil
  ) throws {
    let images = try data.open()
    try self.init(
      subjects, hessianOn: images, naming: data.naming(of: images), plan, batchSize: batchSize,
      batchLimit: batchLimit, memory: memory)
  }

  /// As above, on images that are open.
  init(
    _ subjects: [ModelSubject], hessianOn images: ImageDataSet, naming: ClassNaming? = nil,
    _ plan: Plan, batchSize: Int, batchLimit: Int? = nil, memory: Int? = nil
  ) throws {
    var settings = HessianSettings()
    (settings.scope, settings.parameters) = (.dataset, plan.parameters)
    let run = try HessianRun(
      subjects, on: images, naming: naming, settings: settings, loss: TrainingLoss(),
      batchSize: min(batchSize, images.count), batchLimit: batchLimit, memory: memory ?? 4 << 30)
    let eigenvectors = LeadingEigenvectors(run, count: plan.axes.count)
    let planes = subjects.enumerated().map { model, subject in
      WeightPlane(
        label: subject.label, network: subject.network,
        moving: eigenvectors.parameters(of: model).selected.map {
          WeightPlane.Moving(name: $0.specification.name, tensors: [$0.tensor])
        })
    }
    let study = LandscapeStudy(
      .hessian, axes: plan.axes, parameters: plan.parameters, moving: planes.map(\.moving.count),
      statistics: plan.statistics != nil ? .recompute : .fixed)
    self.init(
      study, subjects, planes, notes: [], eigenvectors: eigenvectors, statistics: plan.statistics)
  }

  private static func plane(
    _ subject: ModelSubject, to targets: [ModelSubject], _ plan: Plan
  ) throws(VitProbeError) -> WeightPlane {
    let all = subject.network.parameters
    let chosen = try subject.parameters(
      among: targets.isEmpty ? all.filter { !$0.specification.isBuffer } : all,
      matching: plan.parameters
    ) { !targets.isEmpty || $0.specification.storedShape.count > 1 }
    var ends: [[String: Tensor]] = []
    for target in targets {
      ends.append(try subject.weights(of: target, orElse: "there is no line"))
    }
    return WeightPlane(
      label: subject.label, network: subject.network,
      moving: chosen.map { parameter in
        let name = parameter.specification.name
        let others =
          targets.isEmpty
          ? plan.axes.indices.map {
            WeightDirection.random(parameter, plan.direction, seed: plan.seed, axis: $0)
          } : ends.compactMap { $0[name] }
        return WeightPlane.Moving(name: name, tensors: [parameter.tensor] + others)
      })
  }

  /// As many as have room together: a place is made once for all of them.
  public func batchesAtOnce(of bytes: Int) -> Int {
    max(Self.leastGroup, Self.groupBytes / max(1, bytes))
  }

  /// The weights of a place, what directions are found by, and the images of statistics.
  public func heldBytes(of model: Int, images: Int) -> Int {
    planes[model].bytes + (eigenvectors?.heldBytes(of: model) ?? 0)
      + (statistics?.bytes(of: planes[model].network.inputShape) ?? 0)
  }

  /// Runs the network of a place.
  public func run(
    _ variant: Int, of model: Int, on batch: BatchInHand, beside whole: () throws -> WholePass
  ) throws -> VariantOutput {
    let found = try eigenvectors?(of: model)
    let place = try moved(Place(model: model, variant: variant)) {
      var (tensors, norms) = planes[model].weights(
        study.coefficients(study.place(variant)), directions: found?.vectors ?? [])
      if let statistics {
        tensors = try statistics.estimate(tensors, model: model, subjects[model])
      }
      return Moved(network: try planes[model].network.rebuilt(with: tensors), norms: norms)
    }
    return VariantOutput(
      place.network(batch.images), weights: place.norms, measures: found?.values)
  }
}
