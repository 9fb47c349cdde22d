/// What a file of `torch.save` held beside its tensors.
public struct TorchContents: Sendable, Equatable {
  /// A value that was not taken for a tensor.
  public struct Skipped: Sendable, Equatable {
    /// Its key.
    public let name: String
    /// What it is.
    public let kind: String
  }

  /// The keys that led to the state dict, outermost first: `["model"]`; empty for a bare one.
  public let wrappers: [String]
  /// Whether the file also has averaged weights (`state_dict_ema`, `model_ema`).
  public let hasEMA: Bool
  /// Values in the state dict that are not tensors.
  public let skipped: [Skipped]
  /// Python names in the file that are not on the allow-list. None was run: nothing ever is.
  public let foreignNames: [String]
}
