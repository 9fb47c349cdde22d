/// A run that ended before its last minibatch because it was asked to.
public struct Interruption: Error, Sendable, CustomStringConvertible {
  /// Pieces of work done, those of earlier runs among them.
  public let done: Int
  /// Pieces in all.
  public let total: Int
  /// What a piece is.
  public let unit: String
  /// Whether a later run can go on from here.
  public let isKept: Bool

  /// What was done.
  public var description: String { "stopped after \(done) of \(total) \(unit)" }
}
