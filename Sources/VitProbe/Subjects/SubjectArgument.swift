import Glibc
import Models

/// `[LABEL=][ARCH@]SOURCE` as a user writes it, taken apart.
public struct SubjectArgument: Sendable, Hashable {
  /// Where values come from.
  public enum Source: Sendable, Hashable {
    /// A checkpoint, a Hugging Face folder or a feature file.
    case path(String)
    /// A bundled checkpoint.
    case demo(String)
    /// Weights as initialised, from a seed.
    case random(UInt64)
  }

  /// What was written.
  public let text: String
  /// The name in tables and figures, if given.
  public let label: String?
  /// The architecture, if given.
  public let architecture: String?
  /// Where values come from.
  public let source: Source
  /// What is said of the weights, where a file holds more than those of one network.
  public var weights = WeightsSelection()

  /// What was written without the label.
  var unlabelled: String { label.map { String(text.dropFirst($0.count + 1)) } ?? text }

  /// Takes an argument apart. One that is an existing path is taken whole; otherwise it is split at
  /// `=` and `@` outside parentheses.
  ///
  /// - Throws: ``VitProbeError`` `.usage` for an empty part or a seed that is no number.
  public init(_ text: String) throws(VitProbeError) {
    self.text = text
    if access(text, F_OK) == 0 {
      (label, architecture, source) = (nil, nil, .path(text))
      return
    }
    var rest = text[...]
    var label: String?
    var architecture: String?
    if let at = Self.first("=", in: rest, before: "@") {
      label = String(rest[..<at])
      rest = rest[rest.index(after: at)...]
    }
    if access(String(rest), F_OK) != 0, let at = Self.first("@", in: rest, before: nil) {
      architecture = String(rest[..<at])
      rest = rest[rest.index(after: at)...]
    }
    let source = String(rest)
    guard !source.isEmpty, label != "", architecture != "" else {
      throw VitProbeError(
        .usage, "subject \"\(text)\" has an empty part; expected [LABEL=][ARCH@]SOURCE")
    }
    self.label = label
    self.architecture = architecture
    if access(source, F_OK) == 0 {
      self.source = .path(source)
    } else if source == "random" {
      self.source = .random(0)
    } else if source.hasPrefix("random:") {
      guard let seed = UInt64(source.dropFirst(7)) else {
        throw VitProbeError(
          .usage,
          "subject \"\(text)\": the seed \"\(source.dropFirst(7))\" is not a number; "
            + "write random:SEED")
      }
      self.source = .random(seed)
    } else if source.hasPrefix("demo:") {
      self.source = .demo(String(source.dropFirst(5)))
    } else if architecture == nil, (try? Architecture(source)) != nil {
      throw VitProbeError(
        .usage,
        "subject \"\(text)\" is an architecture without weights; write \(source)@FILE for those "
          + "of a file, or \(source)@random for untrained ones")
    } else {
      self.source = .path(source)
    }
    if case .random = self.source, architecture == nil {
      throw VitProbeError(
        .usage,
        "subject \"\(text)\" needs an architecture; write for example "
          + "vit_tiny_patch16_224@\(source)")
    }
  }

  /// The first `mark` outside parentheses, unless `other` comes first.
  private static func first(
    _ mark: Character, in text: Substring, before other: Character?
  ) -> Substring.Index? {
    var depth = 0
    for index in text.indices {
      switch text[index] {
      case "(": depth += 1
      case ")": depth -= 1
      case mark where depth == 0: return index
      case other where depth == 0: return nil
      default: break
      }
    }
    return nil
  }

  /// The label if none is given: the stem of the file, or what stands for one.
  public var defaultLabel: String {
    switch source {
    case .demo(let name): return name
    case .random: return architecture ?? "random"
    case .path(let path):
      var trimmed = path[...]
      while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
      let name = trimmed.split(separator: "/").last.map(String.init) ?? path
      for suffix in [
        ".pth.tar", ".safetensors", ".pth", ".pt", ".pt2", ".onnx", ".ckpt", ".bin", ".npz", ".npy",
      ]
      where name.hasSuffix(suffix) && name.count > suffix.count {
        return String(name.dropLast(suffix.count))
      }
      return name
    }
  }
}
