/// Counts products with Hessians, and foresees how many there will be.
///
/// A solver extends itself where it has not converged, and stops early where it has found everything;
/// what the losses so far took says best what the others will.
struct ProductCount {
  /// Losses whose Hessians are looked at.
  let losses: Int
  /// Products planned for each.
  let planned: Int
  /// Losses in hand at the same time.
  let atOnce: Int
  /// Products made.
  private(set) var made = 0
  private var finished = 0
  private var madeInFinished = 0

  init(losses: Int, planned: Int, atOnce: Int = 1) {
    self.losses = losses
    self.planned = planned
    self.atOnce = atOnce
  }

  /// Takes note of a product.
  mutating func add() { made += 1 }

  /// Takes note that a loss is done with, which took so many products.
  mutating func finishLoss(_ products: Int) {
    finished += 1
    madeInFinished += products
  }

  /// Products in all, as it now stands; at least those made.
  var expected: Int {
    guard finished < losses else { return made }
    let inHand = min(atOnce, losses - finished)
    let current = made - madeInFinished
    let each = (current + inHand - 1) / inHand
    let usual = finished > 0 ? (madeInFinished + finished / 2) / finished : planned
    // Beyond the usual number, the solver has doubled its steps.
    let own = each > usual ? max(each, 2 * usual) : usual
    let others = (losses - finished - inHand).multipliedReportingOverflow(
      by: finished > 0 ? usual : own)
    let rest = inHand.multipliedReportingOverflow(by: own)
    return madeInFinished + (rest.overflow ? 0 : max(current, rest.partialValue))
      + (others.overflow ? 0 : others.partialValue)
  }
}
