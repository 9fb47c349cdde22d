import Diagnostics

/// The Hessian of a whole data set, which several ranks may share.
extension HessianRun {
  /// Looks at every model that is not among the records yet; the other ranks ``assist(_:)``.
  ///
  /// What is kept of the Hessian in hand are its products, with which a later run comes to the same
  /// place at once.
  ///
  /// - Parameters:
  ///   - ranks: who shares the minibatches of the data set; this is the first.
  /// - Throws: as ``RecordedJob/collect(keeping:shouldStop:progress:)``.
  public func collect(
    keeping log: RecordLog? = nil, sharing ranks: any Ranks, shouldStop: () -> Bool = { false },
    progress: (Int, Int) -> Void = { _, _ in }
  ) throws -> RunRecords<HessianRecords> {
    precondition(ranks.rank == 0, "only the first rank collects")
    precondition(
      ranks.count == 1 || settings.scope == .dataset, "ranks share the Hessian of a data set only")
    var run = self
    run.ranks = ranks
    do {
      let records = try run.collect(keeping: log, shouldStop: shouldStop, progress: progress)
      RankOrder.end.give(to: ranks)
      return records
    } catch {
      if !(error is RankFailure) { RankOrder.end.give(to: ranks) }
      throw error
    }
  }

  /// The record of a model.
  func dataset(_ index: Int, _ hand: UnitInHand) throws -> HessianRecord {
    RankOrder.open(index).give(to: ranks)
    let hessian = try shared(index, ranks)
    hand.log?.products?.begin(model: index, dimension: hessian.dimension)
    var found = try record(
      KeptProducts(base: hessian, log: hand.log), loss: hessian.loss, gradient: hessian.gradient,
      images: imageCount, number: nil, threads: hand.threads,
      { blame(subjects[index], imagesAreFinite: hessian.imagesAreFinite) }, hand.step)
    found.notes += hessian.own.remarks
    return found
  }

  /// Does a share of the work that the first rank leads, until it is done or stops.
  ///
  /// - Parameter ranks: who shares the minibatches of the data set; this is not the first.
  /// - Throws: ``RankFailure``.
  public func assist(_ ranks: any Ranks) throws {
    precondition(ranks.rank > 0, "the first rank leads")
    var hessian: RankedHessian?
    while true {
      switch RankOrder.next(from: ranks) {
      case .open(let model):
        hessian = nil
        hessian = try shared(model, ranks)
      case .multiply(let count): try hessian?.assist(count)
      case .addGradients: hessian?.assistGradient()
      case .end: return
      }
    }
  }

  /// The Hessian of the whole data set, of whose minibatches every N-th is this rank's own.
  func shared(_ index: Int, _ ranks: any Ranks) throws -> RankedHessian {
    try RankedHessian(images: imageCount, ranks: ranks) {
      let own = Shard(index: ranks.rank, count: ranks.count)
      let batches = try (0..<batchCount).filter(own.contains).map {
        try lossBatch($0, index)
      }
      let hessian = try NetworkHessian(
        subjects[index].network, parameters: parameters[index], batches: batches,
        images: imageCount, memory: memory)
      return (hessian, batches.allSatisfy(\.images.isFinite))
    }
  }
}
