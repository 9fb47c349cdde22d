import Reports
import StrictJSON

/// What is computed of a Hessian, and how.
public struct HessianSettings: Sendable, Codable, Hashable {
  /// The eigenvalue solver.
  public enum Solver: String, Sendable, Codable, CaseIterable {
    /// Lanczos with full re-orthogonalisation: both ends of the spectrum.
    case lanczos
    /// Power iteration with deflation: the largest magnitudes, as PyHessian finds them.
    case power
  }

  /// Of which loss the Hessian is taken.
  public enum Scope: String, Sendable, Codable, CaseIterable {
    /// Of each minibatch by itself: the spectra of Park and Kim (2022).
    case batch
    /// Of the mean over the whole data set.
    case dataset
  }

  /// The eigenvalue solver.
  public var solver = Solver.lanczos
  /// Values of largest magnitude wanted.
  public var top = 5
  /// Lanczos steps before any extension.
  public var steps = 30
  /// The most basis vectors that Lanczos holds: the steps, so that an extension takes no more memory;
  /// but enough that a restart is worth its while.
  public var basisLimit: Int { max(steps, top + 20) }
  /// Largest residual of a converged value, relative to the largest magnitude.
  public var tolerance = 1e-3
  /// Most power iterations a value.
  public var maximumIterations = 100
  /// Of which loss.
  public var scope = Scope.batch
  /// Weight decay: half the squared norm of the parameters times this is added to the loss.
  public var weightDecay = 0.0
  /// Globs on parameter names; empty for all.
  public var parameters: [String] = []
  /// Probes of the trace; 0 for none.
  public var traceProbes = 0
  /// Whether the trace is estimated by Hutch++ instead of Hutchinson's method.
  public var usesHutchPlusPlus = false
  /// Probes of the spectral density; 0 for none.
  public var densityProbes = 0
  /// Seed of start vectors and probes.
  public var seed: UInt64 = 0

  /// Lanczos for the top five of each minibatch.
  public init() {}

  /// The settings for the manifest.
  public var json: JSONValue {
    [
      "solver": .string(solver.rawValue), "top": .integer(top), "steps": .integer(steps),
      "tol": .real(tolerance), "max_iter": .integer(maximumIterations),
      "scope": .string(scope.rawValue), "l2": .real(weightDecay),
      "params": .array(parameters.map(JSONValue.string)), "trace": .integer(traceProbes),
      "hutch_plus_plus": .bool(usesHutchPlusPlus), "density": .integer(densityProbes),
    ]
  }

  /// The parameters looked at, in a word.
  public var parameterText: String {
    parameters.isEmpty ? "all" : parameters.joined(separator: " ")
  }
}
