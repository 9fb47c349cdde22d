/// A ZIP archive by `torch.save`: the pickle `data.pkl` describes tensors, each a view of a storage
/// that is a member of its own.
struct TorchArchive {
  private static let maximumUnpacked = 256 << 20

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
      throw ForeignFormat.archive(of: archive.members.map(\.name)).refusal(file)
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
  func contents(_ entry: CheckpointEntry) throws(CheckpointError) -> TorchStateDict.Contents {
    let file = archive.file.path
    let place = "member \"\(pickle.name)\""
    let most =
      pickle.isDeflated ? PickleReader.maximumUnpackedSize : PickleReader.maximumSize
    guard pickle.size <= most else {
      throw CheckpointError(
        .limitExceeded, file: file, place: place, found: "a pickle of \(pickle.size) bytes",
        expected: "at most \(most)")
    }
    try requireHonestSizes()
    let graph = try archive.contents(of: pickle).withBytes { bytes throws(CheckpointError) in
      var reader = PickleReader(bytes, file: file, place: place)
      return try reader.read()
    }
    let root = String(pickle.name.dropLast("data.pkl".count))
    let storages = TorchStorages(archive, root: root, isBigEndian: try isBigEndian(root))
    return try TorchStateDict(graph: graph, storages: storages).contents(entry)
  }

  /// Weights hardly compress: what unpacks to a great many times the file is no honest archive.
  private func requireHonestSizes() throws(CheckpointError) {
    var unpacked = 0
    for member in archive.members where member.isDeflated {
      unpacked = checkedSum(unpacked, member.size) ?? .max
    }
    let most = max(Self.maximumUnpacked, checkedProduct([archive.file.count, 64]) ?? .max)
    guard unpacked <= most else {
      throw CheckpointError(
        .limitExceeded, file: archive.file.path,
        found: "compressed members that unpack to \(unpacked) bytes", expected: "at most \(most)",
        advice: "Do not trust where this file came from")
    }
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
