/// A pointer that several threads hold, each of which writes a part of its own.
public struct DisjointWrites<Pointee>: @unchecked Sendable {
  /// The first element.
  public let pointer: UnsafeMutablePointer<Pointee>

  /// Memory that stays in place while threads hold it.
  @inlinable
  public init(_ pointer: UnsafeMutablePointer<Pointee>) { self.pointer = pointer }

  /// The element so many further on.
  @inlinable
  public static func + (writes: DisjointWrites, offset: Int) -> UnsafeMutablePointer<Pointee> {
    writes.pointer + offset
  }
}
