/// Tensor names without the prefixes that wrappers leave behind: `module.` of DataParallel and
/// DistributedDataParallel, `_orig_mod.` of torch.compile.
public struct CleanedNames: Sendable, Equatable {
  /// The prefixes that are stripped, repeatedly and in any order.
  public static let prefixes = ["module.", "_orig_mod."]

  /// The cleaned names, in the order of the given ones.
  public let names: [String]
  /// How many names each prefix was stripped from; prefixes that did not occur are absent.
  public let stripped: [String: Int]
  /// Cleaned names that more than one given name leads to, in order; they cannot be told apart.
  public let collisions: [String]

  /// Cleans `names`. Pure: nothing is looked up.
  public init(_ names: [String]) {
    var cleaned: [String] = []
    var stripped: [String: Int] = [:]
    var counts: [String: Int] = [:]
    var collisions: [String] = []
    for name in names {
      var rest = name[...]
      var seen: Set<String> = []
      while let prefix = Self.prefixes.first(where: { rest.hasPrefix($0) }) {
        // A name never becomes empty.
        guard rest.utf8.count > prefix.utf8.count else { break }
        rest = rest.dropFirst(prefix.count)
        seen.insert(prefix)
      }
      for prefix in seen { stripped[prefix, default: 0] += 1 }
      cleaned.append(String(rest))
      counts[String(rest), default: 0] += 1
      if counts[String(rest)] == 2 { collisions.append(String(rest)) }
    }
    self.names = cleaned
    self.stripped = stripped
    self.collisions = collisions
  }
}
