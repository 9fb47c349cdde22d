import DurableFiles
import Glibc
import StrictJSON

/// The folder that a run writes to: all of its files appear, or none does.
///
/// Files are staged in a hidden folder inside it. ``commit(_:)`` writes `run.json` there last;
/// from then on the run counts as done. The files then move to their names, what an earlier run
/// left and this one did not write is removed, and `run.json` moves as the last. A process that
/// dies before that point leaves the earlier results untouched; one that dies after it leaves the
/// rest of the moves to whoever opens the folder next.
///
/// What an earlier run of the program wrote is known by its `run.json`. The same command with the same
/// settings replaces it; results of another command or of other settings are only replaced when that
/// is asked for, and parts of one sharded run live side by side. Nothing else in the folder is replaced
/// without `force`, and nothing else is ever removed.
public final class OutputFolder {
  /// The folder, as it was given.
  public let path: String
  /// Whose results will be replaced: the command and its shard; nil if there are none.
  public private(set) var replaced: String?
  /// What has been staged, in the order of writing.
  public private(set) var outputs: [Manifest.Output] = []
  private let calls: FileSystemCalls
  private let identity: RunIdentity?
  private let replace: Bool
  private let force: Bool
  /// What the names of hidden files end in, for shards to work side by side.
  private let part: String
  private let staging: String
  private var owned: Set<String> = []
  /// What stands there of other parts of this run, to be kept.
  private var kept: [Manifest.Output] = []
  /// Folders that did not exist, outermost first.
  private var made: [String] = []
  private var lock: FolderLock?
  /// Whether nothing is left to drop: before the folder is ours, and after the end of the run.
  private var isDecided = true

  private static let stagingName = AtomicFile.prefix + "staging"

  /// Makes or opens the folder, finishes or drops what a run that died here had staged, and keeps
  /// other runs out until the value is released.
  /// - Parameters:
  ///   - identity: which run this is; nil replaces whatever an earlier run left.
  ///   - replace: whether results of another command or of other settings may be replaced.
  ///   - force: whether files that no earlier run wrote may be replaced.
  ///   - names: what will be written, if known: a name that may not be replaced is an error now
  ///     rather than after hours.
  /// - Throws: `FileError` `.cannotCreate`.
  public convenience init(
    _ path: String, identity: RunIdentity? = nil, replace: Bool = false, force: Bool = false,
    writing names: [String] = []
  ) throws(FileError) {
    try self.init(
      path, identity: identity, replace: replace, force: force, writing: names, .system)
  }

  init(
    _ path: String, identity: RunIdentity?, replace: Bool, force: Bool, writing names: [String],
    _ calls: FileSystemCalls
  ) throws(FileError) {
    var trimmed = path.isEmpty ? "." : path
    while trimmed.count > 1 && trimmed.hasSuffix("/") { trimmed.removeLast() }
    self.path = trimmed
    self.identity = identity
    self.replace = replace
    self.force = force
    self.calls = calls
    part = identity?.shard.map { "-" + Self.fileName(ofShard: $0) } ?? ""
    staging = PathKind.join(trimmed, Self.stagingName + part)

    try makeFolders()
    do {
      // Looked at before anything is written, for a foreign folder to stay as it is.
      try checkContents()
      lock = try FolderLock(trimmed, part: part, calls)
      try recover()
      try checkContents()
      for name in names { try checkName(name) }
      try makeStaging()
      isDecided = false
    } catch {
      lock = nil
      removeMade()
      throw error
    }
  }

  deinit {
    if !isDecided { discard() }
  }

  // MARK: Writing

  /// Stages a whole file.
  /// - Throws: `FileError` `.cannotCreate` if the name may not be replaced, `.io`.
  public func write(_ bytes: [UInt8], to name: String) throws(FileError) {
    try checkNew(name)
    var file = try AtomicFile(PathKind.join(staging, name), calls)
    try file.append(bytes)
    try file.commit()
    outputs.append(.init(name: name, sha256: Digest.sha256(bytes), size: bytes.count))
  }

  /// Stages a text as UTF-8.
  public func write(_ text: String, to name: String) throws(FileError) {
    try write(Array(text.utf8), to: name)
  }

  /// Stages a file that `body` writes itself, whole and durable, at the path it is given.
  /// - Throws: what `body` throws; `FileError` `.cannotCreate` if the name may not be replaced,
  ///   `.io` if the file cannot be read back for its digest.
  public func write<Result>(_ name: String, at body: (String) throws -> Result) throws -> Result {
    try checkNew(name)
    let place = PathKind.join(staging, name)
    let result = try body(place)
    let (digest, size) = try Digest.sha256(file: place)
    outputs.append(.init(name: name, sha256: digest, size: size))
    return result
  }

  /// Puts everything in its place, with a `run.json` that lists it.
  /// - Returns: the manifest as written.
  /// - Throws: `FileError` `.io`; either nothing has changed, or opening the folder again
  ///   finishes the work.
  @discardableResult
  public func commit(_ manifest: Manifest) throws(FileError) -> Manifest {
    precondition(!isDecided, "committed once")
    // Another shard may have put its part there since this one began.
    let whole = part.isEmpty ? nil : try FolderLock(path, isWaiting: true, calls)
    defer { withExtendedLifetime(whole) {} }
    if !part.isEmpty { try checkEarlier(EarlierRun(in: path)) }
    var manifest = manifest
    manifest.identity = identity
    manifest.outputs = kept.filter { old in !outputs.contains { $0.name == old.name } } + outputs
    var document = try AtomicFile(PathKind.join(staging, Manifest.fileName), calls)
    try document.append(Array(manifest.json.pretty.utf8))
    do {
      try document.commit()
    } catch {
      // The rename may have happened: then the run is done, and only the moves are left.
      isDecided = PathKind.at(PathKind.join(staging, Manifest.fileName)) == .file
      throw error
    }
    isDecided = true
    try moveIntoPlace()
    lock = nil
    return manifest
  }

  /// Drops everything staged; the folder is as it was.
  public func discard() {
    isDecided = true
    dropStaging()
    lock = nil
    removeMade()
  }

  // MARK: The folder

  /// Whether a name is one component of a path, and none of those with a meaning here.
  static func isPlainName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".." && !name.utf8.contains(UInt8(ascii: "/"))
      && !name.utf8.contains(0) && !name.hasPrefix(AtomicFile.prefix)
  }

  private func makeFolders() throws(FileError) {
    var missing: [String] = []
    var place = path
    while PathKind.at(place, followingLinks: false) == .nothing {
      missing.append(place)
      let parent = PathKind.parent(of: place)
      if parent == place { break }
      place = parent
    }
    guard PathKind.at(place) == .folder else {
      removeMade()
      throw FileError(.cannotCreate, path: place, message: "is not a folder; name another output")
    }
    for folder in missing.reversed() {
      do {
        try calls.makeFolder(folder)
        made.append(folder)
      } catch {
        // Another run may have made it since we looked.
        if error.code == EEXIST && PathKind.at(folder) == .folder { continue }
        removeMade()
        throw error.error(.cannotCreate, folder, "cannot make this folder")
      }
    }
  }

  private func removeMade() {
    for folder in made.reversed() { try? calls.removeFolder(folder) }
    made = []
  }

  private func checkContents() throws(FileError) {
    guard let names = PathKind.names(in: path) else {
      throw FileError(.cannotCreate, path: path, message: "cannot list this folder", code: errno)
    }
    // In this order: a run that ends meanwhile moves its document from the one place to the other.
    let ended = names.filter { $0.hasPrefix(Self.stagingName) }
      .compactMap { EarlierRun(in: PathKind.join(path, $0)) }
    let earlier = EarlierRun(in: path)
    owned = ([earlier].compactMap(\.self) + ended).reduce(into: []) { $0.formUnion($1.names) }
    try checkEarlier(earlier)
    let foreign = names.filter { !$0.hasPrefix(AtomicFile.prefix) }
    guard let first = foreign.first, owned.isEmpty, !force else { return }
    throw FileError(
      .cannotCreate, path: path,
      message: "holds files that no earlier run wrote (\(first)"
        + (foreign.count > 1 ? " and \(foreign.count - 1) more" : "")
        + "); name another folder, or pass `force` to write among them")
  }

  /// Decides what becomes of the results that stand there.
  private func checkEarlier(_ earlier: EarlierRun?) throws(FileError) {
    (kept, replaced) = ([], nil)
    guard let earlier else { return }
    let stands = earlier.outputs.filter { PathKind.at(PathKind.join(path, $0.name)) == .file }
    let isOfSameRun = earlier.identity.map { identity?.isOfSameRun(as: $0) ?? false } ?? false
    if isOfSameRun && !part.isEmpty {
      kept = stands
      return
    }
    guard let identity, !replace else {
      replaced = earlier.identity?.text ?? "an earlier run"
      return
    }
    guard !stands.isEmpty else { return }
    guard isOfSameRun else {
      throw FileError(
        .cannotCreate, path: path,
        message: "holds results of \(earlier.identity?.text ?? "an earlier version")"
          + (earlier.identity?.command == identity.command ? " with other settings" : "")
          + " (\(stands[0].name)"
          + (stands.count > 1 ? " and \(stands.count - 1) more" : "")
          + "); name another folder, or pass `replace` to delete them")
    }
    replaced = earlier.identity?.text
  }

  private func checkName(_ name: String) throws(FileError) {
    let target = PathKind.join(path, name)
    guard Self.isPlainName(name) else {
      throw FileError(.cannotCreate, path: target, message: "is not a plain file name")
    }
    switch PathKind.at(target, followingLinks: false) {
    case .nothing: return
    case .file where owned.contains(name) || force: return
    case .file:
      throw FileError(
        .cannotCreate, path: target,
        message: "no earlier run wrote this file; move it away, or pass `force` to replace it")
    case .folder, .other:
      throw FileError(
        .cannotCreate, path: target, message: "is not a regular file; move it away")
    }
  }

  private func checkNew(_ name: String) throws(FileError) {
    precondition(!isDecided, "written after the end of the run: \(name)")
    precondition(
      !outputs.contains { $0.name == name } && name != Manifest.fileName, "\(name) is written twice"
    )
    try checkName(name)
  }

  // MARK: Staging

  private func makeStaging() throws(FileError) {
    do {
      try calls.makeFolder(staging)
    } catch {
      throw error.error(.cannotCreate, path, "cannot make a folder in it")
    }
  }

  private func dropStaging() {
    for name in PathKind.names(in: staging) ?? [] {
      try? calls.remove(PathKind.join(staging, name))
    }
    try? calls.removeFolder(staging)
  }

  /// Finishes a run that was done but not yet in place, or drops one that was not done.
  private func recover() throws(FileError) {
    guard PathKind.at(staging, followingLinks: false) == .folder else { return }
    guard let ended = EarlierRun(in: staging) else { return dropStaging() }
    // Other shards may have put their parts there since this one died.
    let whole = part.isEmpty ? nil : try FolderLock(path, isWaiting: true, calls)
    defer { withExtendedLifetime(whole) {} }
    if !part.isEmpty {
      try checkEarlier(EarlierRun(in: path))
      try listKept(beside: ended)
    }
    try moveIntoPlace()
  }

  /// Lists what stands there of other parts in the `run.json` that a part has staged.
  private func listKept(beside ended: EarlierRun) throws(FileError) {
    let others = kept.filter { !ended.names.contains($0.name) }
    let place = PathKind.join(staging, Manifest.fileName)
    guard !others.isEmpty else { return }
    guard let bytes = try? RegularFile.contents(place, limit: EarlierRun.limit),
      case .object(let members) = try? JSONValue(parsing: bytes)
    else { throw FileError(.io, path: place, message: "cannot be read again") }
    let document = JSONValue.object(
      members.map { member in
        guard member.name == "outputs", let own = member.value.arrayValue else { return member }
        return .init("outputs", .array(others.map(\.json) + own))
      })
    var file = try AtomicFile(place, calls)
    try file.append(Array(document.pretty.utf8))
    try file.commit()
  }

  /// Can stop anywhere and be called again.
  private func moveIntoPlace() throws(FileError) {
    let current = EarlierRun(in: staging)?.names ?? []
    let stale = (EarlierRun(in: path)?.names ?? []).subtracting(current)
    let staged = PathKind.names(in: staging) ?? []
    func place(_ name: String) throws(FileError) {
      do {
        try calls.rename(PathKind.join(staging, name), PathKind.join(path, name))
      } catch {
        throw error.error(.io, PathKind.join(path, name), "cannot put it in its place")
      }
    }
    for name in staged where current.contains(name) && name != Manifest.fileName {
      try place(name)
    }
    for name in stale.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      do {
        try calls.remove(PathKind.join(path, name))
      } catch {
        if error.code == ENOENT { continue }
        throw error.error(.io, PathKind.join(path, name), "cannot remove an earlier run's file")
      }
    }
    try syncEntries()
    try place(Manifest.fileName)
    try syncEntries()
    dropStaging()
  }

  private func syncEntries() throws(FileError) {
    do {
      try calls.syncFolder(path)
    } catch {
      throw error.error(.io, path, "cannot make its entries durable")
    }
  }
}

extension OutputFolder {
  /// Where a run keeps what it has so far, in the folder at `path`; never counted as foreign.
  ///
  /// - Parameter shard: the share of a run that several processes carry out, `2/5`.
  public static func recordsPath(in path: String, shard: String? = nil) -> String {
    PathKind.join(
      path, AtomicFile.prefix + "records" + (shard.map { "-" + fileName(ofShard: $0) } ?? ""))
  }

  /// The paths of all records that runs have left in the folder at `path`, in the order of their bytes.
  public static func allRecords(in path: String) -> [String] {
    (PathKind.names(in: path) ?? []).filter { $0.hasPrefix(AtomicFile.prefix + "records") }
      .map { PathKind.join(path, $0) }.filter { PathKind.at($0) == .file }
  }

  private static func fileName(ofShard shard: String) -> String {
    String(shard.map { $0 == "/" ? "-" : $0 })
  }

  /// Where a run keeps the long vectors of the work in hand, in the folder at `path`; never counted
  /// as foreign.
  public static func productsPath(in path: String) -> String {
    PathKind.join(path, AtomicFile.prefix + "products")
  }

  /// The paths of a folder's files whose names end in `suffix`, in the order of their bytes; nil if
  /// it is not a folder.
  public static func files(in path: String, endingIn suffix: String) -> [String]? {
    guard PathKind.at(path) == .folder else { return nil }
    return (PathKind.names(in: path) ?? []).filter { $0.hasSuffix(suffix) }
      .map { PathKind.join(path, $0) }.filter { PathKind.at($0) == .file }
  }
}
