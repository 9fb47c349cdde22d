/// Counts products with Hessians, and foresees how many there will be.
///
/// A solver extends itself where it has not converged, and stops early where it has found everything;
/// what the losses so far took says best what the others will.
struct ProductCount {
  /// Losses whose Hessians are looked at.
  let losses: Int
  /// Products planned for each.
  let planned: Int
  /// Products made.
  private(set) var made = 0
  private var finished = 0
  private var madeInFinished = 0

  init(losses: Int, planned: Int) {
    self.losses = losses
    self.planned = planned
  }

  /// Takes note of a product.
  mutating func add() { made += 1 }

  /// Takes note that a loss is done with.
  mutating func finishLoss() {
    finished += 1
    madeInFinished = made
  }

  /// Products in all, as it now stands; at least those made.
  var expected: Int {
    guard finished < losses else { return made }
    let current = made - madeInFinished
    let usual = finished > 0 ? (madeInFinished + finished / 2) / finished : planned
    // Beyond the usual number, the solver has doubled its steps.
    let own = current > usual ? max(current, 2 * usual) : usual
    let others = (losses - finished - 1).multipliedReportingOverflow(
      by: finished > 0 ? usual : own)
    return madeInFinished + own + (others.overflow ? 0 : others.partialValue)
  }
}
