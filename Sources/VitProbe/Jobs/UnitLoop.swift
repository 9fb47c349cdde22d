import Synchronization
import Tensors

/// The one loop over the units of a job: several at once, and the same outcome whatever their order.
///
/// A failure stops what has not begun; of several the earliest unit's is thrown. A run that is asked to
/// stop finishes the units in hand, or where these have steps, the steps.
struct UnitLoop<Work: Job> {
  let job: Work
  /// Where records are kept as they come.
  let log: RecordLog?

  /// What the caller gave, called by one thread at a time.
  private struct Callbacks: @unchecked Sendable {
    let shouldStop: () -> Bool
    let progress: (Int, Int) -> Void
    let keep: (WorkUnit, Work.Record) throws -> Void
  }

  private struct State {
    var isStopped = false
    var failure: (place: Int, error: any Error)?
    /// Units done, those of earlier runs among them, and what they cost.
    var done: Int
    var cost: Int
    var steps: StepCount
  }

  /// Makes the records of units.
  ///
  /// - Parameters:
  ///   - todo: the places of those that are to be made, in order; nil for all.
  ///   - shouldStop: asked before each unit, and before each step of one.
  ///   - progress: told what is done and what there is to do, in steps if the job counts them, else
  ///     in its costs.
  ///   - keep: takes each record; one at a time.
  /// - Throws: ``Interruption`` if it was stopped; the error of the first unit that failed.
  func run(
    _ todo: [Int]? = nil, shouldStop: () -> Bool = { false },
    progress: (Int, Int) -> Void = { _, _ in },
    keep: (WorkUnit, Work.Record) throws -> Void
  ) throws {
    try withoutActuallyEscaping(shouldStop) { shouldStop in
      try withoutActuallyEscaping(progress) { progress in
        try withoutActuallyEscaping(keep) { keep in
          try run(
            todo ?? Array(job.units.indices),
            Callbacks(shouldStop: shouldStop, progress: progress, keep: keep))
        }
      }
    }
  }

  private func run(_ todo: [Int], _ callbacks: Callbacks) throws {
    let units = job.units
    func cost(_ places: some Sequence<Int>) -> Int {
      places.reduce(0) { $0 + job.cost(of: units[$1]) }
    }
    let total = cost(units.indices)
    let width = min(try job.width(of: todo.count), max(1, todo.count))
    // Steps of a unit that spans several minibatches count for each of them.
    let weight = todo.first.map { cost([$0]) } ?? 1
    let state = Mutex(
      State(
        done: units.count - todo.count, cost: total - cost(todo),
        steps: StepCount(
          units: todo.count, planned: job.stepsOfAUnit ?? 0, atOnce: width)))

    /// One step of a unit in hand.
    @Sendable func step() throws {
      try state.withLock { state in
        if callbacks.shouldStop() { throw interruption(state.done) }
        guard job.stepsOfAUnit != nil else { return }
        state.steps.add()
        callbacks.progress(state.steps.made * weight, state.steps.expected * weight)
      }
    }
    Threads.perform(todo.count, width: width) { place in
      let goesOn = state.withLock { state in
        if !state.isStopped { state.isStopped = callbacks.shouldStop() }
        return !state.isStopped
      }
      guard goesOn else { return }
      let unit = units[todo[place]]
      do {
        var own = 0
        let hand = UnitInHand(threads: width > 1 ? 1 : Threads.count, log: log) {
          try step()
          own += 1
        }
        let record = try job.compute(unit, hand)
        try state.withLock { state in
          try callbacks.keep(unit, record)
          state.done += 1
          state.cost += job.cost(of: unit)
          state.steps.finishUnit(own)
          // A unit may have ended before the steps that were foreseen.
          if job.stepsOfAUnit == nil {
            callbacks.progress(state.cost, total)
          } else {
            callbacks.progress(state.steps.made * weight, state.steps.expected * weight)
          }
        }
      } catch {
        state.withLock { state in
          state.isStopped = true
          if state.failure.map({ place < $0.place }) ?? true { state.failure = (place, error) }
        }
      }
    }
    let end = state.withLock { $0 }
    if let failure = end.failure, !(failure.error is Interruption) { throw failure.error }
    if end.done < units.count {
      try log?.sync()
      throw interruption(end.done)
    }
  }

  private func interruption(_ done: Int) -> Interruption {
    let products = log?.products?.count ?? 0
    return Interruption(
      done: done, total: job.units.count,
      unit: job.unitName + (products > 0 ? " and \(products) products of the next" : ""),
      isKept: log?.isKept ?? false)
  }
}
