/// What was found in a checkpoint and what was not.
public struct LoadReport: Sendable, Codable, Equatable {
  /// The path, or `random:SEED`.
  public var source: String
  /// The family of the architecture.
  public var family: String
  /// The configuration as text.
  public var architecture: String
  /// The named variant asked for or, if there was none, the first that fits; nil if none fits.
  public var variant: String?
  /// Every named variant that the weights fit.
  public var candidates: [String] = []
  /// Whose names the tensors go by.
  public var keyMapping: String
  /// The prefix that names carry in the file.
  public var prefix: String = ""
  /// The keys under which the tensors stand in a training file, joined by "/".
  public var entry: String = ""
  /// Whether the averaged weights of a training run were taken.
  public var usesEMA = false
  /// How many tensors of the file were used.
  public var matched = 0
  /// Tensors of the file that mean nothing to the forward pass.
  public var ignored: [String] = []
  /// A tensor that has no part in the features or logits.
  public struct UnusedTensor: Sendable, Codable, Equatable {
    /// Its name without wrappers.
    public var name: String
    /// What it is.
    public var reason: String
  }

  /// Tensors of the file that have no part in the features or logits: other heads, decoders, what
  /// training leaves.
  public var unused: [UnusedTensor] = []
  /// ``unused`` by reason, in the order of the file.
  public var unusedGroups: [(reason: String, names: [String])] {
    var groups: [(reason: String, names: [String])] = []
    for tensor in unused {
      if let place = groups.firstIndex(where: { $0.reason == tensor.reason }) {
        groups[place].names.append(tensor.name)
      } else {
        groups.append((tensor.reason, [tensor.name]))
      }
    }
    return groups
  }
  /// Names of ``unused``.
  public var unmatched: [String] { unused.map(\.name) }
  /// Tensors that were treated as if they were not in the file, on request.
  public var ignoredOnRequest: [String] = []
  /// What a reader of the results should know.
  public var warnings: [String] = []
}
