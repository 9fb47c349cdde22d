/// What a file of `torch.save` held beside its tensors.
public struct TorchContents: Sendable, Equatable {
  /// A value that was not taken for a tensor.
  public struct Skipped: Sendable, Equatable {
    /// Its key.
    public let name: String
    /// What it is.
    public let kind: String
  }

  /// A dictionary of tensors in the file.
  public struct Entry: Sendable, Equatable {
    /// Its keys, outermost first, joined by "/"; empty for the dictionary that is the file itself.
    public let name: String
    /// What it is likely to be.
    public let kind: EntryKind
    /// How many tensors it holds.
    public let tensors: Int

    /// The name for people.
    public var title: String { name.isEmpty ? "the outermost dictionary" : "\"\(name)\"" }
  }

  /// The keys that led to the state dict, outermost first: `["model"]`; empty for a bare one.
  public let wrappers: [String]
  /// Every dictionary of tensors in the file, those that are taken first before others.
  public let entries: [Entry]
  /// The entry that was taken.
  public var entry: Entry? {
    let name = wrappers.joined(separator: "/")
    return entries.first { $0.name == name }
  }
  /// Which of several entries was taken, and the others.
  var notes: [String] {
    // A loss or a mean beside the entries of a file is no set of weights.
    let rest = entries.filter { $0 != entry && ($0.kind != .whole || $0.tensors > 3) }
    guard let entry, !rest.isEmpty else { return [] }
    let others = rest.prefix(8).map(\.title).joined(separator: ", ")
    let why: String
    switch entry.kind {
    case .averaged: why = ", averaged weights or a teacher, which are taken before others"
    default: why = ""
    }
    return [
      "the weights are those of the entry \(entry.title)\(why); the file also has \(others) "
        + "(`entry` takes another)"
    ]
  }

  /// Values in the state dict that are not tensors.
  public let skipped: [Skipped]
  /// Python names in the file that are not on the allow-list. None was run: nothing ever is.
  public let foreignNames: [String]
}
