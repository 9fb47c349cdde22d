import Diagnostics
import Models
import Tensors

/// Runs the last snapshot of a training with weights on the principal plane of all of them.
public struct TrajectoryEvaluation: VariantEvaluation {
  /// What is asked for, as a user says it.
  public struct Plan: Sendable {
    /// Places along each axis.
    public var grid = 15
    /// Globs on the names of the tensors that count; empty: every parameter.
    public var parameters: [String] = []
    /// The images that running statistics are estimated anew on; nil: they are those of the last snapshot.
    public var statistics: StatisticsImages?
    /// Bytes that snapshots may take at once; four of them are held in any case.
    public var memory = 1 << 30

    /// A grid of 15 places along each axis, over every parameter.
    public init() {}
  }

  /// The snapshots and the surface.
  public let study: TrajectoryStudy
  /// How many tensors count, and what the snapshots span.
  public let notes: [String]
  /// Files of the snapshots before the last.
  public let inputFiles: [String]
  private let surface: LandscapeEvaluation

  /// Reads snapshots, several times each and a few at once, and finds their plane.
  ///
  /// - Parameters:
  ///   - last: the last snapshot.
  ///   - count: snapshots in all, the last among them.
  ///   - open: opens one of those before the last, from 0 in the order of training.
  /// - Throws: ``VitProbeError`` for a single snapshot, snapshots of different networks, or ones that are all
  ///   the same.
  public init(
    to last: ModelSubject, of count: Int, _ plan: Plan, open: (Int) throws -> ModelSubject
  ) throws {
    guard count > 1 else {
      throw VitProbeError(
        .usage,
        "a trajectory needs at least two snapshots of one training, and there is one: \(last.label)"
      )
    }
    let chosen = try last.parameters(
      among: last.network.parameters.filter { !$0.specification.isBuffer },
      matching: plan.parameters, otherwise: { _ in true })
    let valueCount = chosen.reduce(0) { $0 + $1.tensor.shape.count }
    var seen = [TrajectoryStudy.Snapshot?](repeating: nil, count: count)
    seen[count - 1] = TrajectoryStudy.Snapshot(
      label: last.label, epoch: last.epoch, sha256: last.weightsDigest)
    var files: [String] = []
    var remarks: [String] = []

    /// The way from the last snapshot.
    func row(_ place: Int) throws -> [Double] {
      var row = [Double](repeating: 0, count: valueCount)
      guard place < count - 1 else { return row }
      let snapshot = try open(place)
      let tensors = try last.weights(of: snapshot, orElse: "there is no trajectory")
      if seen[place] == nil {
        seen[place] = TrajectoryStudy.Snapshot(
          label: snapshot.label, epoch: snapshot.epoch, sha256: snapshot.weightsDigest)
        files += snapshot.inputFiles
        if snapshot.preparation != last.preparation {
          remarks.append(
            "images are prepared as for \(last.label); \(snapshot.label) takes others")
        }
      }
      var at = 0
      for parameter in chosen {
        tensors[parameter.specification.name]?.add(times: 1, to: &row, from: at)
        parameter.tensor.add(times: -1, to: &row, from: at)
        at += parameter.tensor.shape.count
      }
      return row
    }

    let (products, snapshotPlane, directions) = try withoutActuallyEscaping(row) { row in
      let stream = SnapshotStream(
        count: count, holding: max(4, plan.memory / (8 * max(1, valueCount))), read: row)
      let products = try stream.products()
      let plane = try Self.plane(of: products, count: count)
      return (products, plane, try stream.sums(plane.axes))
    }
    let axes = directions.indices.map { axis in
      TrajectoryStudy.axis(
        over: snapshotPlane.coordinates.map { $0.leastSquares[axis] }, count: plan.grid)
    }
    var moving: [WeightPlane.Moving] = []
    var at = 0
    for parameter in chosen {
      let shape = parameter.tensor.shape
      moving.append(
        WeightPlane.Moving(
          name: parameter.specification.name,
          tensors: [parameter.tensor]
            + directions.map { Tensor(rounding: $0, from: at, shape: shape) }))
      at += shape.count
    }
    if snapshotPlane.axes.count == 1 {
      remarks.append("all snapshots lie on one line: there is no second direction")
    }
    surface = LandscapeEvaluation(
      LandscapeStudy(
        .trajectory, axes: axes, parameters: plan.parameters, moving: [moving.count],
        statistics: plan.statistics == nil ? .fixed : .recompute),
      [last], [WeightPlane(label: last.label, network: last.network, moving: moving)],
      notes: remarks, statistics: plan.statistics)
    study = TrajectoryStudy(
      seen.compactMap(\.self), products: products, valueCount: valueCount,
      surface: surface.study)
    (notes, inputFiles) = (surface.notes, files)
  }

  private static func plane(of products: [Double], count: Int) throws -> SnapshotPlane {
    do {
      return try SnapshotPlane(products: products, count: count)
    } catch SnapshotPlane.Failure.noDistance {
      throw VitProbeError(.badData, "all \(count) snapshots have the same weights")
    } catch SnapshotPlane.Failure.notFinite {
      throw VitProbeError(
        .badData, "a snapshot has weights that are not finite: there is no plane")
    }
  }

  /// As of a landscape.
  public func batchesAtOnce(of bytes: Int) -> Int { surface.batchesAtOnce(of: bytes) }

  /// As of a landscape.
  public func heldBytes(of model: Int, images: Int) -> Int {
    surface.heldBytes(of: model, images: images)
  }

  /// Runs the network of a place.
  public func run(
    _ variant: Int, of model: Int, on batch: BatchInHand, beside whole: () throws -> WholePass
  ) throws -> VariantOutput {
    try surface.run(variant, of: model, on: batch, beside: whole)
  }
}
