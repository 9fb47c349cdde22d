/// Tensor names without the components that wrappers leave behind, wherever they stand: `module` of
/// DataParallel and DistributedDataParallel, `_orig_mod` of torch.compile, and those of DeepSpeed, FSDP
/// and activation checkpointing. Blocks in chunks (`blocks.CHUNK.N`, as DINOv2 trains them) are numbered
/// by N alone.
public struct CleanedNames: Sendable, Equatable {
  /// The components that are dropped.
  public static let wrappers = [
    "module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module",
    "_checkpoint_wrapped_module",
  ]

  /// The cleaned names, in the order of the given ones.
  public let names: [String]
  /// How many names each component was dropped from; those that did not occur are absent.
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
      let (rest, seen) = Self.clean(name)
      for wrapper in seen { stripped[wrapper, default: 0] += 1 }
      cleaned.append(rest)
    }
    cleaned = Self.withoutChunks(cleaned)
    for name in cleaned {
      counts[name, default: 0] += 1
      if counts[name] == 2 { collisions.append(name) }
    }
    self.names = cleaned
    self.stripped = stripped
    self.collisions = collisions
  }

  private static func clean(_ name: String) -> (name: String, seen: Set<String>) {
    // Most names have no such component.
    guard wrappers.contains(where: name.contains) else { return (name, []) }
    var components = name.split(separator: ".", omittingEmptySubsequences: false)
    var seen: Set<String> = []
    // The last component is the parameter itself: a name never becomes empty.
    for place in components.indices.dropLast().reversed()
    where wrappers.contains(String(components[place])) && components.count > 1 {
      let isEmpty = place + 2 == components.count && components[place + 1].isEmpty
      if isEmpty { continue }
      seen.insert(String(components.remove(at: place)))
    }
    return (components.joined(separator: "."), seen)
  }

  /// `blocks.2.14.…` as `blocks.14.…`, where every name of that list has two numbers and no block is in
  /// two chunks.
  private static func withoutChunks(_ names: [String]) -> [String] {
    struct List {
      var chunks: [Int: Int] = [:]
      var isChunked = true
    }
    var lists: [Substring: List] = [:]
    func parts(_ name: String) -> (stem: Substring, rest: [Substring])? {
      let components = name.split(separator: ".", omittingEmptySubsequences: false)
      guard let place = components.firstIndex(of: "blocks"), place + 2 < components.count,
        components[place + 1].allSatisfy(\.isNumber)
      else { return nil }
      return (name[..<components[place].endIndex], Array(components[(place + 1)...]))
    }
    for name in names where name.contains("blocks.") {
      guard let (stem, rest) = parts(name) else { continue }
      var list = lists[stem] ?? List()
      if let chunk = Int(rest[0]), let block = Int(rest[1]), rest.count > 2,
        list.chunks[block, default: chunk] == chunk
      {
        list.chunks[block] = chunk
      } else {
        list.isChunked = false
      }
      lists[stem] = list
    }
    guard lists.values.contains(where: \.isChunked) else { return names }
    return names.map { name in
      guard name.contains("blocks."), let (stem, rest) = parts(name),
        lists[stem]?.isChunked == true
      else { return name }
      return stem + "." + rest.dropFirst().joined(separator: ".")
    }
  }
}
