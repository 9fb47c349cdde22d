import Reports

/// One piece of the work of a job: computed as a whole, saved as a whole, never half.
public struct WorkUnit: Sendable, Hashable {
  /// The point in weight space, from 0: which model, or which weights of one.
  public var point: Int
  /// What is done to the network on the way.
  public var intervention: Intervention
  /// The minibatch, from 0; 0 for a unit over all of them.
  public var batch: Int

  /// A unit of the given identity.
  public init(point: Int = 0, intervention: Intervention = .none, batch: Int = 0) {
    self.point = point
    self.intervention = intervention
    self.batch = batch
  }

  /// What tells the units of a minibatch apart; the name of their documents in a file of records.
  public var part: String {
    "point-\(point)" + (intervention == .none ? "" : ".\(intervention.name)")
  }
}

/// What is done to a network on the way of its forward pass: a lesion, a patch.
public struct Intervention: Sendable, Hashable, Codable {
  /// A name without white space, unique among the interventions of a job.
  public let name: String

  /// An intervention of the given name.
  public init(name: String) { self.name = name }

  /// The network as it is.
  public static let none = Intervention(name: "none")
}

/// Work that is cut into units. What it takes to carry it out (threads, stopping, failures,
/// progress) is the same for all.
public protocol Job: Sendable {
  /// What a unit becomes.
  associatedtype Record: Sendable

  /// Every unit of this run, in order.
  var units: UnitPlan { get }
  /// What units are, in words: `minibatches`.
  var unitName: String { get }
  /// How much of the work a unit is; for most jobs its images.
  func cost(of unit: WorkUnit) -> Int
  /// How many units may be in hand at once, as far as threads and memory go, when `count` are to be
  /// done; 1 for units that must be done in order.
  func width(of count: Int) throws -> Int
  /// The steps that a unit is planned to take, where each counts as progress and the run may stop before
  /// it; nil where units do.
  var stepsOfAUnit: Int? { get }

  /// Makes the record of a unit; called from any thread.
  func compute(_ unit: WorkUnit, _ hand: UnitInHand) throws -> Record
}

extension Job {
  /// Minibatches.
  public var unitName: String { "minibatches" }
  /// None.
  public var stepsOfAUnit: Int? { nil }
}

/// What a unit is given while it is computed.
public struct UnitInHand {
  /// Threads that are its own.
  public let threads: Int
  /// The log of the run, if it has one.
  let log: RecordLog?
  /// To be called after each step.
  ///
  /// - Throws: ``Interruption`` if the run is to stop here.
  public let step: () throws -> Void
}

/// A job whose units are recorded: what was found survives an interruption, is shared out and merged,
/// and becomes a report.
public protocol RecordedJob: Job {
  /// What is known of its records without models and data.
  associatedtype Kind: RecordKind where Kind.Record == Record

  /// What its records and reports depend on.
  ///
  /// - Parameter inputs: the files of subjects and data with their digests.
  func kind(_ inputs: [Manifest.Input]) throws -> Kind
  /// Which share of the minibatches is looked at, if not all.
  var shard: Shard? { get }
}
