import StrictJSON

/// Height and width: of images in pixels, of a grid in patches. Written `224`, or `16x64` for 16 rows of 64.
public struct Extents: Sendable, Hashable, ExpressibleByIntegerLiteral {
  /// Rows.
  public var height: Int
  /// Columns.
  public var width: Int

  /// A size of so many rows and columns.
  public init(height: Int, width: Int) { (self.height, self.width) = (height, width) }

  /// A square.
  public init(_ side: Int) { self.init(height: side, width: side) }

  /// A square, as a literal.
  public init(integerLiteral side: Int) { self.init(side) }

  /// Whether both extents are the same.
  public var isSquare: Bool { height == width }

  /// The longer extent; of a square, its side.
  public var side: Int { max(height, width) }

  /// The shorter extent.
  public var shorterSide: Int { min(height, width) }
}

extension Extents: ConfigurationValue {
  /// Reads `224` or `16x64`.
  public init?(argument: String) {
    let parts = argument.split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
    guard let height = parts.first ?? nil, let width = parts.last ?? nil, parts.count <= 2 else {
      return nil
    }
    self.init(height: height, width: width)
  }

  /// `224`, or `16x64`.
  public var argument: String { isSquare ? "\(height)" : "\(height)x\(width)" }

  /// For messages.
  public static var expectation: String { "an integer, or two such as 16x64" }

  /// Reads a side, or a list of rows and columns.
  public init?(setting: JSONValue) {
    if let side = setting.intValue {
      self.init(side)
    } else if let extents = [Int](setting: setting), (1...2).contains(extents.count) {
      self.init(height: extents[0], width: extents[extents.count - 1])
    } else {
      return nil
    }
  }

  /// Whether both extents lie in a range.
  public func lies(in range: ClosedRange<Int>) -> Bool {
    range.contains(height) && range.contains(width)
  }
}

extension Extents: Codable {
  /// Reads one number, or two: rows and columns.
  public init(from decoder: any Decoder) throws {
    if let side = try? decoder.singleValueContainer().decode(Int.self) {
      self.init(side)
      return
    }
    var extents = try decoder.unkeyedContainer()
    self.init(height: try extents.decode(Int.self), width: try extents.decode(Int.self))
  }

  /// One number for a square, else rows and columns.
  public func encode(to encoder: any Encoder) throws {
    if isSquare {
      var container = encoder.singleValueContainer()
      try container.encode(height)
    } else {
      var container = encoder.unkeyedContainer()
      try container.encode(height)
      try container.encode(width)
    }
  }
}
