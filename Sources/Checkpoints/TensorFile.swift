import DurableFiles

/// The file that a writer of tensors makes: an ``AtomicFile`` whose failures are those of tensors.
struct TensorFile: ~Copyable {
  private var file: AtomicFile

  init(
    creating path: String, calls: FileSystemCalls = .system
  ) throws(CheckpointError) {
    do throws(FileError) {
      file = try AtomicFile(path, calls)
    } catch {
      throw CheckpointError(error)
    }
  }

  /// Where it appears, as it was given.
  var path: String { file.path }

  /// Writes all of `bytes` at `offset`.
  mutating func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(CheckpointError) {
    do throws(FileError) {
      try file.write(bytes, at: offset)
    } catch {
      throw CheckpointError(error)
    }
  }

  /// Writes all of `bytes` at `offset`.
  mutating func write(_ bytes: [UInt8], at offset: Int) throws(CheckpointError) {
    do throws(FileError) {
      try file.write(bytes, at: offset)
    } catch {
      throw CheckpointError(error)
    }
  }

  /// Flushes the file and gives it its name.
  consuming func commit() throws(CheckpointError) {
    do throws(FileError) {
      try file.commit()
    } catch {
      throw CheckpointError(error)
    }
  }
}

extension CheckpointError {
  /// What the failure to create or write a file amounts to for whoever writes tensors.
  fileprivate init(_ error: FileError) {
    self.init(
      error.kind == .cannotCreate ? .cannotCreate : .cannotWrite, file: error.path,
      found: error.reason, advice: error.advice)
  }
}
