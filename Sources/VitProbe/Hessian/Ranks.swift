/// The processes that share the work of one run. The first leads: it solves and writes; the others do
/// their share of the sums.
///
/// All of them make the same calls in the same order, with buffers of the same length.
public protocol Ranks: Sendable {
  /// Which one this is, from 0.
  var rank: Int { get }
  /// How many there are.
  var count: Int { get }
  /// Gives every rank the values of the first.
  func broadcast(_ values: inout [Double])
  /// Gives the first rank the sum of the values of all; what the others are left with is undefined.
  func sum(_ values: inout [Double])
}

/// One process on its own.
public struct SingleRank: Ranks {
  /// The only one.
  public let rank = 0
  /// 1
  public let count = 1

  /// Nobody else.
  public init() {}

  /// Nothing to do.
  public func broadcast(_ values: inout [Double]) {}
  /// Nothing to add.
  public func sum(_ values: inout [Double]) {}
}

extension Ranks {
  /// Takes a step on every rank. Either all get past it, or all learn that one has failed.
  ///
  /// - Throws: ``RankFailure``; with a single rank, what `body` throws.
  public func together<Result>(_ body: () throws -> Result) throws -> Result {
    guard count > 1 else { return try body() }
    var codes = [Double](repeating: 0, count: count)
    var found: (result: Result?, error: VitProbeError?)
    do {
      found.result = try body()
    } catch {
      let error = VitProbeError(error)
      found.error = error
      codes[rank] = Double(error.kind.rawValue)
    }
    sum(&codes)
    broadcast(&codes)
    if let result = found.result, codes.allSatisfy({ $0 == 0 }) { return result }
    let first = codes.firstIndex { $0 != 0 } ?? rank
    throw RankFailure(
      rank: first, kind: VitProbeError.Kind(rawValue: Int32(codes[first])) ?? .software,
      message: first == rank ? found.error?.message : nil, isKnownToAll: true)
  }
}

/// The end of a run that several ranks share.
public struct RankFailure: Error, Sendable, CustomStringConvertible {
  /// The rank that failed, the first of several.
  public let rank: Int
  /// What sort of failure.
  public let kind: VitProbeError.Kind
  /// What it was; nil on all ranks but the one that says it.
  public let message: String?
  /// Whether the other ranks end on their own; else they wait for this one, and have to be ended.
  public let isKnownToAll: Bool

  /// What it was, and where.
  public var description: String { "rank \(rank): " + (message ?? "failed") }
}
