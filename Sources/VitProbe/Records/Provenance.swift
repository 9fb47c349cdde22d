import Diagnostics
import Reports
import StrictJSON
import Tensors

/// What a run was given, for its `run.json`, and for that of a merge.
struct Provenance: Sendable {
  /// The command and its arguments.
  var arguments: [String]
  /// Every setting as it was resolved.
  var configuration: JSONValue
  /// Files that were read.
  var inputs: [Manifest.Input]
  /// The seed of every random number.
  var seed: Int
  /// The estimator of each analysis, in words.
  var estimators: [String]
  /// What was found and assumed before anything was computed.
  var notes: [String]

  var json: JSONValue {
    [
      "arguments": .array(arguments.map(JSONValue.string)), "configuration": configuration,
      "inputs": .array(
        inputs.map {
          ["path": .string($0.path), "sha256": .string($0.sha256), "size": .integer($0.size)]
        }),
      "seed": .integer(seed), "estimators": .array(estimators.map(JSONValue.string)),
      "notes": .array(notes.map(JSONValue.string)),
    ]
  }

  init(
    arguments: [String], configuration: JSONValue, inputs: [Manifest.Input], seed: UInt64,
    estimators: [String], notes: [String]
  ) {
    self.arguments = arguments
    self.configuration = configuration
    self.inputs = inputs
    self.seed = Int(truncatingIfNeeded: seed)
    self.estimators = estimators
    self.notes = notes
  }

  /// Reads what ``json`` wrote; what is missing is left empty, since no result depends on it.
  init(parsing bytes: [UInt8]) throws {
    let document = try JSONValue(parsing: bytes)
    func strings(_ key: String) -> [String] {
      (document[key]?.arrayValue ?? []).compactMap(\.stringValue)
    }
    arguments = strings("arguments")
    configuration = document["configuration"] ?? .null
    estimators = strings("estimators")
    notes = strings("notes")
    seed = if case .integer(let value) = document["seed"] { value } else { 0 }
    inputs = (document["inputs"]?.arrayValue ?? []).compactMap { input in
      guard let path = input["path"]?.stringValue, let digest = input["sha256"]?.stringValue,
        case .integer(let size) = input["size"]
      else { return nil }
      return Manifest.Input(path: path, sha256: digest, size: size)
    }
  }

  /// Which run this is, of a command whose results depend on nothing else.
  func identity(of command: String) -> RunIdentity {
    let whole: JSONValue = [
      "configuration": configuration, "inputs": .array(inputs.map { .string($0.sha256) }),
      "seed": .integer(seed),
    ]
    return RunIdentity(command: command, settingsSHA256: Digest.sha256(whole.compact.utf8))
  }

  /// The manifest of a run that was given this.
  ///
  /// - Parameter notes: what else came to light.
  func manifest(
    images: Int = 0, skipped: [Manifest.Skip] = [], notes: [String] = [], wallSeconds: Double = 0
  ) -> Manifest {
    var manifest = Manifest(
      version: VitProbeVersion.current, arguments: arguments, configuration: configuration,
      seed: seed, imageCount: images, threads: Threads.count)
    manifest.inputs = inputs
    manifest.estimators = estimators
    manifest.skipped = skipped
    manifest.notes = self.notes + notes
    manifest.kernels = [Threads.kernels]
    manifest.wallSeconds = wallSeconds
    return manifest
  }
}

/// Which samples a run goes over, as far as its records depend on it: contents, not paths.
public struct DataSettings: Sendable, Codable, Equatable {
  /// How many.
  let images: Int
  /// SHA-256 of their names and labels in order.
  let samplesSHA256: String
  /// SHA-256 of the digests of the files that they are read from.
  let filesSHA256: String

  init(count: Int, files: [Manifest.Input], sample: (Int) -> (id: String, label: Int?)) {
    images = count
    let names = SHA256()
    for index in 0..<count {
      let (id, label) = sample(index)
      names.update(Array("\(id)\t\(label.map(String.init) ?? "")\n".utf8))
    }
    samplesSHA256 = names.finish()
    filesSHA256 = Digest.sha256(files.map { $0.sha256 + "\n" }.joined().utf8)
  }
}

/// A subject, as far as records depend on it.
public struct SubjectSettings: Sendable, Codable, Equatable {
  /// The name in tables and figures.
  let label: String
  /// Architecture, parameters, preprocessing.
  let description: EmbeddedJSON
  /// SHA-256 of each of its files.
  let filesSHA256: [String]
  /// What labels mean to it; nil without a head.
  let classes: ClassMapping?

  init(_ subject: any Subject, _ inputs: [Manifest.Input], classes: ClassMapping?) {
    label = subject.label
    self.classes = classes
    var description = subject.description
    if case .object(let members) = description {
      // The same file may stand in another folder next time.
      description = .object(
        members.map { member in
          guard member.name == "source", let source = member.value.stringValue else {
            return member
          }
          let name = source.split(separator: "/").last.map(String.init) ?? source
          return JSONValue.Member(member.name, .string(name))
        })
    }
    self.description = EmbeddedJSON(description)
    let files = Set(subject.inputFiles)
    filesSHA256 = inputs.filter { files.contains($0.path) }.map(\.sha256)
  }
}

extension [SubjectSettings] {
  /// How products were computed: one word for all, or one for each subject that says it; nil if exactly.
  var compute: String? {
    let known = compactMap { subject in
      subject.description.value["compute"]?.stringValue.map { (subject.label, $0) }
    }
    guard known.contains(where: { $0.1 != ProductPrecision.float32.rawValue }) else { return nil }
    if known.count == count, let first = known.first, known.allSatisfy({ $0.1 == first.1 }) {
      return first.1
    }
    return known.map { "\($0.0): \($0.1)" }.joined(separator: ", ")
  }
}
