/// The weights by which a layer makes each place of others, however they come about: attention maps, and the
/// kernels of local layers, whose groups of channels are heads.
///
/// The value of such a tap is `[N, heads, queries, keys]`; of attention in windows,
/// `[N, windows, heads, queries, keys]`. Places are in row-major order.
public struct Connections: Hashable, Sendable, Codable {
  /// Whose weights a row holds, and of which places.
  public enum Support: Hashable, Sendable, Codable {
    /// Each token of the grid, or of a window whose grid it is, reads them all:
    /// queries = keys = prefix + height * width.
    case tokens
    /// The same in windows that begin at every `stride` places of a map, the first `padding` places before it; where
    /// they overlap, what they give is added up. The grid is that of a window.
    case windows(mapHeight: Int, mapWidth: Int, stride: Int, padding: Int = 0)
    /// Each place of the grid reads `height * width` cells that cut the grid evenly.
    case cells(height: Int, width: Int)
    /// Each place of the result reads the taps of its window on the grid, row by row. Queries are the places of
    /// the result, or one that stands for all.
    case taps(SlidingWindow)
    /// Queries have no place: each, such as a class token or a learned query, reads the tokens before the grid and
    /// all of the grid: keys = prefix + height * width.
    case pooling
  }

  /// What a layer says of its weights before it sees an image.
  public struct Declaration: Hashable, Sendable, Codable {
    /// What the weights are made of.
    public enum Source: String, Sendable, Codable, CaseIterable {
      /// They are parameters.
      case parameters
      /// Of a mean over the whole image.
      case image
      /// Of the place that they are for.
      case place
      /// Of the place that they are for and the place that is read.
      case pair
      /// Of the place that is read alone.
      case key
    }

    /// What the weights are made of.
    public let source: Source
    /// Channels that are mixed.
    public let channels: Int
    /// Whether each channel of the result reads all channels. Then the value holds, of each channel of the result,
    /// the magnitudes summed over the channels that it reads; it is a summary, not what the layer goes on with.
    public let isDense: Bool
    /// Parameters that the weights are or are made with.
    public let parameters: Int
    /// Multiply-adds of an image, of making the weights and of mixing with them.
    public let multiplyAdds: Int

    /// A declaration of all of these.
    public init(
      _ source: Source, channels: Int, isDense: Bool = false, parameters: Int, multiplyAdds: Int
    ) {
      (self.source, self.channels, self.isDense) = (source, channels, isDense)
      (self.parameters, self.multiplyAdds) = (parameters, multiplyAdds)
    }
  }

  /// Rows of the grid that is read.
  public let height: Int
  /// Columns of the grid that is read.
  public let width: Int
  /// Tokens before the grid, among queries that have places and among keys.
  public let prefix: Int
  /// Which places a row of weights is of.
  public let support: Support
  /// What the layer says of the weights; nil where it is not known.
  public let declared: Declaration?

  /// Weights of places of a grid.
  public init(
    height: Int, width: Int, prefix: Int = 0, support: Support = .tokens,
    declared: Declaration? = nil
  ) {
    (self.height, self.width, self.prefix) = (height, width, prefix)
    (self.support, self.declared) = (support, declared)
  }

  /// Whether the numbers can be those of a layer, as they are unless a file was tampered with.
  public var isValid: Bool {
    func fits(_ extents: Int...) -> Bool { extents.allSatisfy { (1...1 << 20).contains($0) } }
    guard fits(height, width), (0...1 << 20).contains(prefix),
      declared.map({ $0.channels > 0 && min($0.parameters, $0.multiplyAdds) >= 0 }) ?? true
    else { return false }
    switch support {
    case .tokens, .pooling: return true
    case .windows(let mapHeight, let mapWidth, let stride, let padding):
      return prefix == 0 && fits(mapHeight, mapWidth, stride) && (0...1 << 20).contains(padding)
    case .cells(let rows, let columns):
      return prefix == 0 && fits(rows, columns) && rows <= height && columns <= width
    case .taps(let window):
      let (kernel, stride, dilation) = (window.kernel, window.stride, window.dilation)
      return prefix == 0
        && fits(kernel.height, kernel.width, stride.height, stride.width)
        && fits(dilation.height, dilation.width)
        && kernel.height <= 1 << 10 && kernel.width <= 1 << 10
        && [window.padding.0, window.padding.1, window.padding.2, window.padding.3]
          .allSatisfy { (0...1 << 20).contains($0) }
        && window.extents(height: height, width: width) != nil
    }
  }
}

extension Tap.Layout {
  /// Attention maps `[N, heads, T, T]` of tokens of a grid behind `prefix` others, or of windows of that grid,
  /// `[N, windows, heads, T, T]`.
  public static func attention(height: Int, width: Int, prefix: Int) -> Tap.Layout {
    .connections(Connections(height: height, width: width, prefix: prefix))
  }
}

extension Tap {
  /// How the weights by which places are mixed lie in the value; nil for a value of places.
  public var connections: Connections? {
    if case .connections(let connections) = layout { connections } else { nil }
  }
}

extension Context {
  /// Offers the kernels of a local layer to whoever listens, heads first; returns those to go on with.
  ///
  /// - Parameters:
  ///   - kernels: `[N, P, K, G]` as ``Tensor/locallyMixed(_:window:)`` takes them; N and P may be 1.
  ///   - images: how many images the minibatch has.
  public func kernels(_ tap: @autoclosure () -> Tap, _ kernels: Tensor, images: Int) -> Tensor {
    guard let look = inner(tap()) else { return kernels }
    var each = kernels
    if images > 1, kernels.shape[0] == 1 {
      each = kernels.reshaped(Shape(Array(kernels.shape.dimensions.dropFirst()))).repeated(images)
    }
    return look(each.permuted([0, 3, 1, 2])).permuted([0, 2, 3, 1])
  }
}
