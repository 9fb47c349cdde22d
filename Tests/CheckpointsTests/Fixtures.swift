import Glibc

@testable import Checkpoints

/// The path of a file made by `make_fixtures.py`.
func fixture(_ name: String) -> String { folder(of: #filePath) + "/Fixtures/" + name }

private func folder(of path: String) -> String {
  path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
}

/// What the tensors called "floats" hold, in shape [2, 3].
let fixtureFloats: [Float] = [-2, -0.5, 0, 0.25, 1, 3]

/// All bytes of a file.
func contents(_ path: String) throws -> [UInt8] {
  let file = try MappedFile(path: path)
  return withExtendedLifetime(file) { Array(file.bytes) }
}

/// The little-endian bytes of an integer.
func little(_ value: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

/// The error that `body` throws, or nil.
func failure(_ body: () throws -> Void) -> CheckpointError? {
  do {
    try body()
    return nil
  } catch {
    return error as? CheckpointError
  }
}
