/// A ZIP archive by `torch.save`: the pickle `data.pkl` describes tensors, each a view of a storage
/// that is a member of its own.
struct TorchArchive {
  struct Contents {
    var tensors: [TensorEntry]
    var metadata: [String: String]
    var report: TorchContents
  }

  private let archive: ZipArchive
  private let pickle: ZipArchive.Member

  /// Whether the archive should be read as torch's: anything that is not NumPy's.
  static func isTorch(_ archive: ZipArchive) -> Bool {
    !archive.members.isEmpty && !archive.members.contains { $0.name.hasSuffix(".npy") }
  }

  init(_ archive: ZipArchive) throws(CheckpointError) {
    let file = archive.file.path
    let pickles = archive.members.filter { $0.name.split(separator: "/").last == "data.pkl" }
    guard let pickle = pickles.first else {
      throw CheckpointError(
        .unsupported, file: file,
        found: "a ZIP archive without data.pkl and without .npy members",
        expected: "a file by torch.save or numpy.savez",
        advice: "If it is an archive of files, unpack it and name the file inside")
    }
    guard pickles.count == 1 else {
      throw CheckpointError(
        .malformed, file: file, place: "member \"\(pickles[1].name)\"",
        found: "\(pickles.count) members called data.pkl", expected: "one",
        advice: "Do not trust where this file came from")
    }
    let root = pickle.name.dropLast("data.pkl".count)
    if archive[root + "constants.pkl"] != nil
      || archive.members.contains(where: { $0.name.hasPrefix(root + "code/") })
    {
      throw CheckpointError(
        .unsupported, file: file, found: "a TorchScript archive (it contains code)",
        expected: "a state dict", advice: "Save model.state_dict() of the loaded model instead")
    }
    self.archive = archive
    self.pickle = pickle
  }

  /// Finds the state dict and describes its tensors; reads the pickle, touches no storage.
  func contents(preferringEMA: Bool) throws(CheckpointError) -> Contents {
    let file = archive.file.path
    let place = "member \"\(pickle.name)\""
    guard pickle.size <= PickleReader.maximumSize else {
      throw CheckpointError(
        .limitExceeded, file: file, place: place, found: "a pickle of \(pickle.size) bytes",
        expected: "at most \(PickleReader.maximumSize)")
    }
    let graph = try archive.contents(of: pickle).withBytes { bytes throws(CheckpointError) in
      var reader = PickleReader(bytes, file: file, place: place)
      return try reader.read()
    }
    let root = String(pickle.name.dropLast("data.pkl".count))
    let rebuilder = TorchTensorRebuilder(
      graph: graph, archive: archive, root: root, isBigEndian: try isBigEndian(root))
    let search = TorchStateDict(graph: graph, rebuilder: rebuilder, file: file)
    return try search.contents(preferringEMA: preferringEMA)
  }

  private func isBigEndian(_ root: String) throws(CheckpointError) -> Bool {
    guard let member = archive[root + "byteorder"] else { return false }
    return try archive.contents(of: member).withBytes { bytes throws(CheckpointError) in
      if bytes.count == 6, bytes.holds("little") { return false }
      if bytes.count == 3, bytes.holds("big") { return true }
      throw CheckpointError(
        .malformed, file: archive.file.path, place: "member \"\(member.name)\"",
        found: "\(bytes.count) bytes of something else", expected: "\"little\" or \"big\"")
    }
  }
}
