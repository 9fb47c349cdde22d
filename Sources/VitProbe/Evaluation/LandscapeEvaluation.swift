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

    /// A grid of the given places: one axis, or two.
    public init(axes: [[Double]]) { self.axes = axes }
  }

  /// A tensor that moves: itself, then what each axis adds to it.
  private struct Moving: Sendable {
    let name: String
    let isBuffer: Bool
    let tensors: [Tensor]
  }

  /// The surface.
  public let study: LandscapeStudy
  /// How many tensors move.
  public let notes: [String]
  /// Files of the checkpoints that axes lead to.
  public let inputFiles: [String]
  private let networks: [any Network]
  private let moving: [[Moving]]
  /// Where directions are eigenvectors, which are found later.
  private let eigenvectors: LeadingEigenvectors?

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
    eigenvectors = nil
    var moving: [[Moving]] = []
    for subject in subjects {
      moving.append(try Self.moving(subject, to: targets, plan))
    }
    self.moving = moving
    networks = subjects.map(\.network)
    inputFiles = targets.flatMap(\.inputFiles)
    study = LandscapeStudy(
      targets.isEmpty ? plan.direction : .checkpoint, axes: plan.axes,
      targets: targets.map {
        LandscapeStudy.Target(label: $0.label, sha256: Self.digest($0.network))
      },
      seed: plan.seed, parameters: plan.parameters, moving: moving.map(\.count))
    notes =
      Self.notes(subjects, moving)
      + subjects.flatMap { subject in
        targets.filter { $0.preparation != subject.preparation }.map {
          "images are prepared as for \(subject.label); \($0.label) takes others"
        }
      }
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
    self.eigenvectors = eigenvectors
    moving = subjects.indices.map { model in
      eigenvectors.parameters(of: model).selected.map {
        Moving(name: $0.specification.name, isBuffer: false, tensors: [$0.tensor])
      }
    }
    networks = subjects.map(\.network)
    inputFiles = []
    study = LandscapeStudy(
      .hessian, axes: plan.axes, parameters: plan.parameters, moving: moving.map(\.count))
    notes = Self.notes(subjects, moving)
  }

  private static func notes(_ subjects: [ModelSubject], _ moving: [[Moving]]) -> [String] {
    zip(subjects, moving).map { subject, moving in
      let values = moving.reduce(0) { $0 + $1.tensors[0].shape.count }
      return
        "\(subject.label): \(moving.count) of \(subject.network.parameters.count) tensors move, "
        + "\(values) values"
    }
  }

  private static func moving(
    _ subject: ModelSubject, to targets: [ModelSubject], _ plan: Plan
  ) throws(VitProbeError) -> [Moving] {
    let all = subject.network.parameters
    let candidates = targets.isEmpty ? all.filter { !$0.specification.isBuffer } : all
    let selection = NameSelection(plan.parameters)
    let names = candidates.map(\.specification.name)
    if let glob = selection.firstUnmatched(in: names) {
      throw VitProbeError(
        .usage,
        "`parameters` \"\(glob)\" matches no parameter of \(subject.label); there are "
          + names.prefix(4).joined(separator: ", ") + ", …"
          + NameSelection.question(glob, among: names))
    }
    let chosen = candidates.filter { parameter in
      plan.parameters.isEmpty
        ? !targets.isEmpty || parameter.specification.storedShape.count > 1
        : selection.includes(parameter.specification.name)
    }
    var ends: [[String: Tensor]] = []
    for target in targets { ends.append(try weights(of: target, like: subject)) }
    return chosen.map { parameter in
      let name = parameter.specification.name
      let others =
        targets.isEmpty
        ? plan.axes.indices.map {
          WeightDirection.random(parameter, plan.direction, seed: plan.seed, axis: $0)
        } : ends.compactMap { $0[name] }
      return Moving(
        name: name, isBuffer: parameter.specification.isBuffer, tensors: [parameter.tensor] + others
      )
    }
  }

  /// The weights of another checkpoint of the same network, by name.
  private static func weights(
    of target: ModelSubject, like subject: ModelSubject
  ) throws(VitProbeError) -> [String: Tensor] {
    let own = subject.network.parameters.map(\.specification)
    let others = target.network.parameters
    var found: [String: Tensor] = [:]
    for parameter in others { found[parameter.specification.name] = parameter.tensor }
    for specification in own where found[specification.name]?.shape != specification.shape {
      let other = others.first { $0.specification.name == specification.name }
      throw VitProbeError(
        .badData,
        "there is no line from \(subject.label) to \(target.label): \(specification.name) is "
          + "\(specification.storedShape) in the first and "
          + (other.map { "\($0.specification.storedShape)" } ?? "missing") + " in the second")
    }
    guard others.count == own.count else {
      throw VitProbeError(
        .badData,
        "there is no line from \(subject.label) to \(target.label): they have \(own.count) and "
          + "\(others.count) tensors")
    }
    return found
  }

  private static func digest(_ network: any Network) -> String {
    let digest = SHA256()
    for parameter in network.parameters {
      digest.update(Array(parameter.specification.name.utf8))
      parameter.tensor.withValues { digest.update(UnsafeRawBufferPointer($0)) }
    }
    return digest.finish()
  }

  /// The weights of a place.
  public func heldBytes(of model: Int, images: Int) -> Int {
    moving[model].reduce(eigenvectors?.heldBytes(of: model) ?? 0) {
      $0 + 4 * $1.tensors[0].shape.count * (2 + study.axes.count)
    }
  }

  /// The network of a place.
  func network(_ variant: Int, of model: Int) throws -> (any Network, WeightNorms) {
    let coefficients = study.coefficients(study.places[variant])
    var tensors: [String: Tensor] = [:]
    for parameter in networks[model].parameters {
      tensors[parameter.specification.name] = parameter.tensor
    }
    let directions = try eigenvectors?(of: model) ?? []
    for (place, one) in moving[model].enumerated() {
      tensors[one.name] = WeightDirection.sum(
        one.tensors + directions.map { $0[place] }, coefficients)
    }
    var norms = WeightNorms()
    for parameter in networks[model].parameters where !parameter.specification.isBuffer {
      tensors[parameter.specification.name]?.withValues { norms.add($0) }
    }
    return (try networks[model].rebuilt(with: tensors), norms)
  }

  /// Runs the network of a place.
  public func run(_ variant: Int, of model: Int, on batch: BatchInHand) throws -> VariantOutput {
    let (network, norms) = try network(variant, of: model)
    return VariantOutput(network(batch.images), weights: norms)
  }
}
