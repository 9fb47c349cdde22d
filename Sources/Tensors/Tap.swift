/// A point of the forward pass worth looking at.
public struct Tap: Hashable, Sendable, Codable {
  /// What kind of step made the value.
  public enum Kind: String, Sendable, Codable, CaseIterable {
    /// Patch embedding or stem.
    case embed
    /// Multi-head self-attention, global or in windows.
    case msa
    /// Multilayer perceptron over channels.
    case mlp
    /// Multilayer perceptron over tokens (Mixer).
    case mlpToken = "mlp-token"
    /// Convolution block.
    case conv
    /// A step that subsamples the map.
    case pool
    /// Normalisation.
    case norm
    /// Weights by which places are mixed: an attention map, the kernels of a local layer.
    case attentionMap = "map"
    /// Class scores.
    case logits
    /// Not known: a layer of a feature file that does not say.
    case other
  }

  /// How the value is laid out, without the leading image axis.
  public enum Layout: Hashable, Sendable, Codable {
    /// `[N, prefix + height * width, C]`: tokens of a grid in row-major order behind `prefix` others.
    case tokens(height: Int, width: Int, prefix: Int)
    /// `[N, H, W, C]`.
    case featureMap
    /// `[N, heads, queries, keys]` weights by which places are mixed; with windows,
    /// `[N, windows, heads, queries, keys]`.
    case connections(Connections)
    /// `[N, C]`.
    case vector
    /// `[N, ...]` of which nothing is known: rows to compare, but no places to tell apart.
    case unknown
  }

  /// The standard orderings a tap belongs to.
  public struct Roles: OptionSet, Hashable, Sendable, Codable {
    /// The bits.
    public let rawValue: Int
    /// Roles with the given bits.
    public init(rawValue: Int) { self.rawValue = rawValue }
    /// One entry a residual half-block: the ordering of Fourier and variance figures (Park & Kim 2022).
    public static let sequence = Roles(rawValue: 1)
    /// One entry a whole block: the ordering of CKA curves (Zhou et al. 2021).
    public static let block = Roles(rawValue: 2)
    /// A residual branch before it is scaled and added: what a lesion removes.
    public static let branch = Roles(rawValue: 4)
  }

  /// The name, unique within a model: `blocks.3.attn_res`.
  public let name: String
  /// What kind of step made the value.
  public let kind: Kind
  /// The stage, for models that have several resolutions; counted from 0.
  public let stage: Int?
  /// How the value is laid out.
  public let layout: Layout
  /// The standard orderings the tap belongs to.
  public let roles: Roles

  /// A tap with all its properties.
  public init(
    _ name: String, _ kind: Kind, layout: Layout, stage: Int? = nil, roles: Roles = []
  ) {
    self.name = name
    self.kind = kind
    self.stage = stage
    self.layout = layout
    self.roles = roles
  }
}

extension Tap {
  /// The same tap with further roles.
  func adding(_ further: Roles) -> Tap {
    Tap(name, kind, layout: layout, stage: stage, roles: roles.union(further))
  }
}

/// Listens to a forward pass: each tap is offered the moment its value exists.
///
/// One probe listens to one minibatch, on one thread.
public protocol Probe {
  /// Whether the value of a tap is wanted. Values that cost extra are not made otherwise.
  func wants(_ tap: Tap) -> Bool

  /// Whether a residual branch is to be left out: nothing is added to its input. A block that asks need not compute
  /// it; one that does not ask offers its value, to be replaced by zeros.
  func removes(_ tap: Tap) -> Bool

  /// Looks at the value of a wanted tap.
  ///
  /// - Returns: the value to go on with: the same, or another of its shape in its place (a lesion).
  func observe(_ tap: Tap, _ value: Tensor) -> Tensor
}

extension Probe {
  /// None.
  public func removes(_ tap: Tap) -> Bool { false }
}
