/// Counts the steps of units, and foresees how many there will be.
///
/// A solver extends itself where it has not converged, and stops early where it has found everything;
/// what the units so far took says best what the others will.
struct StepCount {
  /// Units to be done.
  let units: Int
  /// Steps planned for each.
  let planned: Int
  /// Units in hand at the same time.
  let atOnce: Int
  /// Steps made.
  private(set) var made = 0
  private var finished = 0
  private var madeInFinished = 0

  init(units: Int, planned: Int, atOnce: Int = 1) {
    self.units = units
    self.planned = planned
    self.atOnce = atOnce
  }

  /// Takes note of a step.
  mutating func add() { made += 1 }

  /// Takes note that a unit is done with, which took so many steps.
  mutating func finishUnit(_ steps: Int) {
    finished += 1
    madeInFinished += steps
  }

  /// Steps in all, as it now stands; at least those made.
  var expected: Int {
    guard finished < units else { return made }
    let inHand = min(atOnce, units - finished)
    let current = made - madeInFinished
    let each = (current + inHand - 1) / inHand
    let usual = finished > 0 ? (madeInFinished + finished / 2) / finished : planned
    // Beyond the usual number, the solver has doubled its steps.
    let own = each > usual ? max(each, 2 * usual) : usual
    let others = (units - finished - inHand).multipliedReportingOverflow(
      by: finished > 0 ? usual : own)
    let rest = inHand.multipliedReportingOverflow(by: own)
    return madeInFinished + (rest.overflow ? 0 : max(current, rest.partialValue))
      + (others.overflow ? 0 : others.partialValue)
  }
}
