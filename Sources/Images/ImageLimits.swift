/// Bounds on what a file may ask for, checked before memory is allocated.
public struct ImageLimits: Sendable, Hashable {
  /// Most pixels of one image. The default is twice the size at which Pillow warns of a
  /// decompression bomb, where it turns the warning into an error.
  public var pixels = 178_956_970
  /// Most bytes of one encoded image file.
  public var encodedBytes = 1 << 30
  /// Most scans of a progressive JPEG; encoders write about ten.
  public var scans = 100
  /// Most bytes that a compressed IDX file may unfold to.
  public var unpackedBytes = 1 << 33
  /// Deepest nesting of folders.
  public var folderDepth = 64

  /// The defaults.
  public init() {}
}
