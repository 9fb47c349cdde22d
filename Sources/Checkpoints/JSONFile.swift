import StrictJSON

extension JSONValue {
  /// Reads the JSON file at `path` (at most 16 MiB).
  ///
  /// - Throws: ``CheckpointError`` for a file that cannot be read or breaks the rules.
  static func read(path: String) throws(CheckpointError) -> JSONValue {
    let file = try MappedFile(path: path)
    return try withExtendedLifetime(file) { () throws(CheckpointError) in
      try parse(file.bytes, file: path, limits: JSONLimits(bytes: 16 << 20))
    }
  }

  /// Parses the JSON document that fills `bytes`, a part of a file.
  ///
  /// - Parameters:
  ///   - bytes: the text.
  ///   - file: the name that errors carry.
  ///   - offset: where `bytes` starts in that file, for the positions in errors.
  ///   - limits: bounds on size and depth.
  public static func parse(
    _ bytes: UnsafeRawBufferPointer, file: String, offset: Int = 0,
    limits: JSONLimits = JSONLimits()
  ) throws(CheckpointError) -> JSONValue {
    do throws(JSONError) {
      return try JSONValue(parsing: bytes, limits: limits)
    } catch {
      throw CheckpointError(error, file: file, offset: offset)
    }
  }
}

extension CheckpointError {
  /// What is wrong with a JSON document that starts at `offset` in a file.
  fileprivate init(_ error: JSONError, file: String, offset: Int) {
    let kind: Kind =
      switch error.kind {
      case .malformed: .malformed
      case .truncated: .truncated
      case .limitExceeded: .limitExceeded
      }
    let place = offset.addingReportingOverflow(error.offset).partialValue
    self.init(
      kind, file: file, place: "byte \(place) (JSON)", found: error.found,
      expected: error.expected)
  }
}
