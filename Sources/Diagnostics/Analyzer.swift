import Reports
import StrictJSON
import Tensors

/// A diagnostic of features: it turns each minibatch into one small record, and the records, in batch
/// order, into tables and figures.
///
/// Records are reduced only at the end. From that alone follow results that do not depend on threads,
/// shards that merge exactly, resuming after an interruption, and error bars.
public protocol Analyzer: Sendable {
  /// What can be set; a file of records holds it, for a report to be made from records alone.
  associatedtype Configuration: Codable & Sendable

  /// What one minibatch contributes; small.
  associatedtype Record: Codable & Sendable

  /// The name of the analysis: the command, and the stem of its files.
  static var name: String { get }

  /// The taps looked at unless the user says otherwise.
  static var defaultOrdering: TapOrdering { get }

  /// Whether a subject may lack every tap that the analysis looks at; otherwise that is an error.
  static var isOptional: Bool { get }

  /// What was set.
  var configuration: Configuration { get }

  /// An analyzer as set.
  init(_ configuration: Configuration)

  /// The settings, for the manifest.
  var settings: JSONValue { get }

  /// The fewest images that a minibatch must hold, as set.
  var minimumBatch: MinimumBatch { get }

  /// Whether the analysis can make something of a tap's value.
  func accepts(_ tap: Tap) -> Bool

  /// Whether a tap that ``accepts(_:)`` takes is looked at whatever the ordering.
  func isOfEveryOrdering(_ tap: Tap) -> Bool

  /// Bytes that an observer holds while it is at work, beside the value that it is given.
  func keptBytes(_ plan: Plan, images: Int) -> Int

  /// Starts on a minibatch; called from any thread.
  func begin(_ batch: BatchIdentity, plan: Plan) -> any BatchObserver<Record>

  /// Whether a record that was read from a file has the form that the plan demands.
  func isValid(_ record: Record, plan: Plan) -> Bool

  /// Tables and figures from the records of all minibatches, in batch order.
  func report(_ records: [Record], plan: Plan) throws -> Report
}

extension Analyzer {
  /// Every subject must have a tap.
  public static var isOptional: Bool { false }

  /// Only taps of the ordering.
  public func isOfEveryOrdering(_ tap: Tap) -> Bool { false }

  /// One image is enough.
  public var minimumBatch: MinimumBatch { MinimumBatch(1, "one image is enough") }

  /// Nothing to speak of.
  public func keptBytes(_ plan: Plan, images: Int) -> Int { 0 }
}

/// Which taps an analysis looks at.
public enum TapOrdering: String, Sendable, Codable, CaseIterable {
  /// One entry a whole block.
  case blocks
  /// One entry a residual half-block, the embedding first.
  case sequence
  /// Every tap that the analysis can make something of.
  case all
}

/// Sees the taps of one minibatch, on one thread.
public protocol BatchObserver<Record>: AnyObject {
  /// What the minibatch contributes.
  associatedtype Record

  /// Looks at a value `[N, ...]`; taps of a subject come in order, subjects one after the other.
  func observe(subject: Int, tap: Int, value: Tensor)

  /// The record, after all taps of all subjects.
  func finish() -> Record
}

/// What an analysis has to say.
public struct Report: Sendable {
  /// Tables, the main one first; each becomes a CSV of its name.
  public var tables: [Table]
  /// Figures; each becomes an SVG of its name.
  public var figures: [Figure]
  /// A short table for a person at a terminal.
  public var summary: Table
  /// Remarks on the results: unreliable intervals, layers left out.
  public var notes: [String]
  /// Values over planes and lines, for programs that draw surfaces.
  public var grids: [ScalarGrid]
  /// What the figures depend on beside tables and settings.
  public var networks: [NetworkOutline]

  /// A report.
  public init(
    tables: [Table], figures: [Figure], summary: Table, notes: [String] = [],
    grids: [ScalarGrid] = [], networks: [NetworkOutline] = []
  ) {
    self.tables = tables
    self.figures = figures
    self.summary = summary
    self.notes = notes
    self.grids = grids
    self.networks = networks
  }
}
