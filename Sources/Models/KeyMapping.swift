/// One way of naming the weights of a family: how each canonical name (timm's, torchvision's) is made
/// of tensors of a file, and which further tensors mean nothing.
///
/// ```swift
/// KeyMapping("Hugging Face", signature: ["embeddings.cls_token"], rules: [
///   .rename("norm", "layernorm"),
///   .join("blocks.*.attn.qkv", ["encoder.layer.*.attention.attention.query", …]),
/// ])
/// ```
public struct KeyMapping: Sendable {
  /// How tensors of the file become one parameter.
  enum Transform: Sendable {
    /// One tensor, or several one after the other along the first axis.
    case rows
    /// One tensor of the same values in the same order under another shape (`[D, 3 p p]` for
    /// `[D, 3, p, p]`).
    case reshaped
    /// `[D, p p C]`, a patch's values in the order row, column, channel, for `[D, C, p, p]`.
    case channelsLastPatch
  }

  /// The tensors that one parameter is made of.
  struct Recipe: Sendable {
    let names: [String]
    let transform: Transform
  }

  /// What becomes of canonical names that start with a pattern; `*` stands for one component, in
  /// foreign names also for a part of one.
  public struct Rule: Sendable {
    fileprivate let canonical: [Substring]
    fileprivate let foreign: [[Substring]]
    fileprivate let transform: Transform

    private init(_ canonical: String, _ foreign: [String], _ transform: Transform) {
      self.canonical = canonical.split(separator: ".")
      self.foreign = foreign.map { $0.split(separator: ".") }
      self.transform = transform
    }

    /// Another name; what follows the pattern (`weight`, `bias`) stays.
    public static func rename(_ canonical: String, _ foreign: String) -> Rule {
      Rule(canonical, [foreign], .rows)
    }

    /// Several tensors, one after the other along the first axis.
    public static func join(_ canonical: String, _ foreign: [String]) -> Rule {
      Rule(canonical, foreign, .rows)
    }

    /// The same values in the same order under another shape.
    public static func reshape(_ canonical: String, _ foreign: String) -> Rule {
      Rule(canonical, [foreign], .reshaped)
    }

    /// A patch projection stored as a matrix whose columns run over row, column, channel.
    public static func channelsLastPatch(_ canonical: String, _ foreign: String) -> Rule {
      Rule(canonical, [foreign], .channelsLastPatch)
    }

    fileprivate func recipe(_ name: [Substring]) -> Recipe? {
      guard name.count >= canonical.count else { return nil }
      var wildcards: [Substring] = []
      for (pattern, component) in zip(canonical, name) {
        if pattern == "*" {
          wildcards.append(component)
        } else if pattern != component {
          return nil
        }
      }
      let rest = name[canonical.count...]
      let names = foreign.map { pattern in
        var next = wildcards.makeIterator()
        let filled = pattern.map { component in
          guard let star = component.firstIndex(of: "*") else { return component }
          let after = component[component.index(after: star)...]
          return component[..<star] + (next.next() ?? "*") + after
        }
        return (filled + rest).joined(separator: ".")
      }
      return Recipe(names: names, transform: transform)
    }
  }

  /// Whose names they are: "timm", "Hugging Face".
  public let name: String
  /// Names that all have to be there for a file to be in this key mapping.
  let signature: [String]
  /// Patterns of further tensors that mean nothing to the forward pass.
  let ignored: [String]
  private let rules: [Rule]
  /// Further rules that follow from the names in a file: from numbers that run on over several lists.
  private let derivedRules: @Sendable (Set<String>) -> [Rule]

  /// A key mapping made of its parts.
  ///
  /// - Parameters:
  ///   - name: whose names they are.
  ///   - signature: names that all have to be there, without prefix; any prefix is found.
  ///   - ignored: patterns (`*` stands for any text) of tensors that mean nothing.
  ///   - rules: for one canonical name, all rules that fit are tried in order; with none, the name
  ///     is canonical already.
  ///   - derivedRules: further rules, given the names in a file without wrappers' prefixes.
  public init(
    _ name: String, signature: [String], ignored: [String] = [],
    rules: [Rule] = [], derivedRules: @escaping @Sendable (Set<String>) -> [Rule] = { _ in [] }
  ) {
    self.name = name
    self.signature = signature
    self.ignored = ["*num_batches_tracked"] + ignored
    self.rules = rules
    self.derivedRules = derivedRules
  }

  private init(_ keyMapping: KeyMapping, rules: [Rule]) {
    (name, signature) = (keyMapping.name, keyMapping.signature)
    (ignored, derivedRules, self.rules) = (keyMapping.ignored, keyMapping.derivedRules, rules)
  }

  /// The key mapping with the rules that follow from the names in a file.
  func reading(_ names: [String]) -> KeyMapping {
    let derived = derivedRules(Set(names))
    return derived.isEmpty ? self : KeyMapping(self, rules: rules + derived)
  }

  /// The ways to make the parameter of a canonical name, without prefix, likeliest first.
  func recipes(for canonical: String) -> [Recipe] {
    let components = canonical.split(separator: ".")
    let found = rules.compactMap { $0.recipe(components) }
    return found.isEmpty ? [Recipe(names: [canonical], transform: .rows)] : found
  }
}

/// Whether `text` fits `pattern`, in which `*` stands for any text.
func matches(_ text: String, _ pattern: String) -> Bool {
  let (text, pattern) = (Array(text.utf8), Array(pattern.utf8))
  let star = UInt8(ascii: "*")
  var (t, p) = (0, 0)
  var resume: (t: Int, p: Int)?
  while t < text.count {
    if p < pattern.count, pattern[p] == star {
      resume = (t, p)
      p += 1
    } else if p < pattern.count, pattern[p] == text[t] {
      (t, p) = (t + 1, p + 1)
    } else if let back = resume {
      resume = (back.t + 1, back.p)
      (t, p) = (back.t + 1, back.p + 1)
    } else {
      return false
    }
  }
  return pattern[p...].allSatisfy { $0 == star }
}
