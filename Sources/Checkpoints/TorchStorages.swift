/// Where the storages of a file of `torch.save` lie: members of an archive, or pieces of a stream.
struct TorchStorages {
  /// The bytes of one storage.
  struct Place {
    fileprivate let source: Source
    /// How many bytes it has.
    let size: Int

    fileprivate enum Source {
      case member(ZipArchive, ZipArchive.Member)
      case file(MappedFile, offset: Int)
    }

    /// Where its bytes from `offset` on are.
    func origin(_ offset: Int) -> TensorStorage.Origin {
      switch source {
      case .member(let archive, let member): .member(archive, member, offset: offset)
      case .file(let file, let start): .file(file, offset: start + offset)
      }
    }
  }

  /// The file, for errors.
  let file: String
  /// Whether elements are stored with their first byte last.
  let isBigEndian: Bool
  private let find: (String) -> Place?
  /// What a storage is called in the file.
  let naming: (String) -> String

  /// The members `ROOT/data/KEY` of an archive.
  init(_ archive: ZipArchive, root: String, isBigEndian: Bool) {
    file = archive.file.path
    self.isBigEndian = isBigEndian
    naming = { "member \"\(root)data/\($0)\"" }
    find = { key in
      archive["\(root)data/\(key)"].map { Place(source: .member(archive, $0), size: $0.size) }
    }
  }

  /// Pieces of a file; torch writes those of the form before 1.6 with the first byte first on every
  /// machine.
  init(_ file: MappedFile, pieces: [String: Range<Int>]) {
    self.file = file.path
    isBigEndian = false
    naming = { "storage \"\($0)\"" }
    find = { key in
      pieces[key].map { Place(source: .file(file, offset: $0.lowerBound), size: $0.count) }
    }
  }

  /// No storages: a pickle by itself.
  init(none file: String) {
    self.file = file
    isBigEndian = false
    naming = { "storage \"\($0)\"" }
    find = { _ in nil }
  }

  subscript(key: String) -> Place? { find(key) }
}
