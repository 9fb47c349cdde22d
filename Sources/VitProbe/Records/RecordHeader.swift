import Reports
import StrictJSON
import Tensors

/// What one file of records is about: what its records depend on, and how many there will be.
struct RecordHeader: Sendable {
  /// Everything of a run that a record depends on, as readable JSON. Threads are no part of it, nor
  /// are the folders that files stand in.
  let settings: [UInt8]
  /// What the run was given, as JSON; two runs that differ in it alone have the same records.
  let provenance: [UInt8]
  /// The rest.
  let outline: Outline
  /// The place of each document among those of a minibatch.
  private let places: [String: Int]
  /// The share of a shard, where variants may be shared out.
  private let share: Shard.Share?

  /// What is known without reading the settings.
  struct Outline: Sendable, Codable, Equatable {
    /// Which kind of run: `features`, `hessian`.
    let kind: String
    /// The version of the program.
    let version: String
    /// Minibatches of the whole run.
    let batches: Int
    /// The documents that make a minibatch complete.
    let parts: [String]
    /// Whether each of these documents is of a variant of its own, and variants may be shared out, too.
    let sharesVariants: Bool
    /// SHA-256 of the settings.
    let digest: String
    /// Which share of them, if not all.
    let shard: Shard?
    /// The kernels in use; results of others agree to rounding only.
    let kernels: String
  }

  init(
    kind: String, batches: Int, parts: [String], sharesVariants: Bool = false, shard: Shard?,
    settings: some Encodable, provenance: Provenance
  ) throws {
    let settings = try RecordCoding.encode(settings)
    self.init(
      settings: settings, provenance: Array(provenance.json.compact.utf8),
      outline: Outline(
        kind: kind, version: VitProbeVersion.current, batches: batches, parts: parts,
        sharesVariants: sharesVariants, digest: Digest.sha256(settings), shard: shard,
        kernels: Threads.kernels))
  }

  init(settings: [UInt8], provenance: [UInt8], outline: Outline) {
    self.settings = settings
    self.provenance = provenance
    self.outline = outline
    share = outline.sharesVariants ? outline.shard?.share(ofMinibatches: outline.batches) : nil
    places = Dictionary(
      outline.parts.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Whether a run with this header computes a part.
  func covers(_ part: RecordPart) -> Bool {
    guard let place = places[part.name] else { return false }
    if let share { return share.contains(minibatch: part.batch) && share.contains(variant: place) }
    return outline.shard?.contains(part.batch) ?? true
  }

  /// How many minibatches a run with this header computes; each for every variant where there are some.
  var unitCount: Int {
    let names = outline.sharesVariants ? outline.parts : Array(outline.parts.prefix(1))
    return (0..<outline.batches).reduce(0) { count, batch in
      count + names.count { covers(RecordPart(batch: batch, name: $0)) }
    }
  }

  /// Where two runs differ in what their records depend on, in words; nil if nowhere.
  ///
  /// - Parameter names: what to call this one and the other.
  func difference(from other: RecordHeader, names: (String, String)) -> String? {
    func words(_ place: String, _ ours: String, _ theirs: String) -> String {
      "\(place) is \(ours) in \(names.0) and \(theirs) in \(names.1)"
    }
    if outline.version != other.outline.version {
      return words("the version of vitprobe", outline.version, other.outline.version)
    }
    if outline.kind != other.outline.kind {
      return words("the kind of run", outline.kind, other.outline.kind)
    }
    if settings != other.settings {
      guard let ours = try? JSONValue(parsing: settings),
        let theirs = try? JSONValue(parsing: other.settings),
        let found = SettingsDifference(ours, theirs)
      else { return words("the digest", outline.digest, other.outline.digest) }
      return words(found.place, found.first, found.second)
    }
    if outline.batches != other.outline.batches || outline.parts != other.outline.parts {
      return words("the number of minibatches", "\(outline.batches)", "\(other.outline.batches)")
    }
    return nil
  }
}
