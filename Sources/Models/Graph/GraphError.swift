/// Why an exported graph cannot be made a network, before it is known where that was said of.
struct GraphError: Error {
  let kind: ModelError.Kind
  let found: String
  let expected: String
  let advice: String

  init(
    _ kind: ModelError.Kind, _ found: String, expected: String = "", advice: String = ""
  ) {
    (self.kind, self.found, self.expected, self.advice) = (kind, found, expected, advice)
  }

  /// Of a graph that breaks its own rules.
  init(_ found: String, expected: String = "", advice: String = "") {
    self.init(.unreadable, found, expected: expected, advice: advice)
  }

  /// The error said of a place.
  func at(_ place: String) -> ModelError {
    ModelError(kind, place: place, found: found, expected: expected, advice: advice)
  }

  /// What to do where a graph holds something that is not done here.
  static let capture =
    "Record the layers of the model with hooks where it runs, and analyse the feature file"
}
