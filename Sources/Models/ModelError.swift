/// What went wrong between an architecture and its weights: what was found, what was expected, and
/// what to do about it.
public struct ModelError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The class of a failure; a command chooses its exit code by it.
  public enum Kind: Sendable, Equatable, CaseIterable {
    /// No architecture of that name.
    case unknownArchitecture
    /// A hyper-parameter that does not exist, cannot be read, or makes no network.
    case badArgument
    /// The weights are of no known family.
    case unrecognised
    /// The weights are of another architecture than was asked for, or than their own settings say.
    case conflict
    /// Something that neither names nor shapes tell has to be said.
    case undetermined
    /// The architecture needs a tensor that is not there.
    case missing
    /// The file holds parts that the architecture does not have.
    case unexpected
    /// A tensor cannot be read or has another shape.
    case unreadable
  }

  /// The class of the failure.
  public let kind: Kind
  /// What it is about: a file, an argument, a tensor.
  public let place: String
  /// What stands there.
  public let found: String
  /// What was expected; empty if `found` says it all.
  public let expected: String
  /// What to do; empty if there is nothing to advise.
  public let advice: String

  /// An error made of its parts.
  public init(
    _ kind: Kind, place: String = "", found: String, expected: String = "", advice: String = ""
  ) {
    self.kind = kind
    self.place = place
    self.found = found
    self.expected = expected
    self.advice = advice
  }

  /// The same error, said of a file.
  func inFile(_ path: String) -> ModelError {
    ModelError(
      kind, place: place.isEmpty ? path : "\(path): \(place)", found: found, expected: expected,
      advice: advice)
  }

  /// One line for people: `place: found …; expected …. Advice.`
  public var description: String {
    var text = place.isEmpty ? "" : place + ": "
    text += found
    if !expected.isEmpty { text += "; expected " + expected }
    if !advice.isEmpty { text += ". " + advice }
    return text
  }
}
