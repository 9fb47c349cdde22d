import Checkpoints
import StrictJSON

/// What a checkpoint says it is of: in our own metadata, or in timm's `config.json`.
struct DeclaredArchitecture {
  /// The name, as it stands there.
  let name: String
  /// Where it stands.
  let place: String
  /// What it means here; nil for a name that nobody knows.
  let architecture: Architecture?
  /// Why it is not known.
  let reason: String

  /// Nil if nothing is said.
  init?(_ checkpoint: Checkpoint) {
    let config = checkpoint.config
    if let own = checkpoint.metadata["architecture"] {
      (name, place) = (own, "metadata: architecture")
    } else if let timm = config?["architecture"]?.stringValue {
      (name, place) = (timm, "config.json: architecture")
    } else {
      return nil
    }
    do throws(ModelError) {
      let known = try Architecture(name)
      // Arguments change what the name alone says: sizes are then read off the weights.
      let hasArguments = config?["model_args"]?.objectValue?.isEmpty == false
      architecture =
        hasArguments
        ? Architecture(
          known.configuration, variant: known.variant, preprocessing: known.preprocessing,
          given: []) : known
      reason = ""
    } catch {
      architecture = nil
      reason = error.found
    }
  }

  /// The error about a name that is not known.
  var unknown: ModelError {
    ModelError(
      .unknownArchitecture, place: place, found: "\"\(name)\": \(reason)",
      expected: "an architecture that is known here",
      advice:
        "Another network may have the same names and shapes; if it is one that is known, name "
        + "it before the file: ARCH@FILE")
  }
}

extension ModelConfiguration {
  /// What was asked for, completed by what the checkpoint declares: non-linearities, strides and the like
  /// that were not given.
  ///
  /// - Throws: ``ModelError`` if a named architecture was asked for that differs in these.
  func completed(
    by declared: Self, given: Set<String>, named variant: String?, declaredAs name: String
  ) throws(ModelError) -> Self {
    // These follow from sizes, and are said again by other settings.
    let sized: Set = ["image", "heads", "resampling"]
    let traits = Self.parameters.filter { $0.origin == .declaration && !sized.contains($0.name) }
    if let variant {
      if let trait = traits.first(where: { $0.text(self) != $0.text(declared) }) {
        throw ModelError(
          .conflict, place: "config.json: architecture",
          found: "\"\(name)\", which has \(trait.name)=\(trait.text(declared))",
          expected: "\(variant), as was asked for, with \(trait.name)=\(trait.text(self))",
          advice: "Name the family and what to change: \(Self.family)(\(trait.name)=…)@FILE")
      }
      return self
    }
    var result = self
    for trait in traits where !given.contains(trait.name) { trait.copy(declared, &result) }
    return result
  }
}
