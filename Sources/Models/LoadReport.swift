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
  /// Whether the averaged weights of a training run were taken.
  public var usesEMA = false
  /// How many tensors of the file were used.
  public var matched = 0
  /// Tensors of the file that mean nothing to the forward pass.
  public var ignored: [String] = []
  /// Tensors of the file that the architecture has no place for.
  public var unmatched: [String] = []
  /// What a reader of the results should know.
  public var warnings: [String] = []
}

extension LoadReport {
  /// Of a network that no loader has made.
  public init(source: String, family: String, architecture: String) {
    self.init(
      source: source, family: family, architecture: architecture, variant: nil, keyMapping: "own")
  }
}
