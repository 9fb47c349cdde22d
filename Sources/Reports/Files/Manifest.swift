import DurableFiles
import StrictJSON

/// What a run did, with what, and what came of it: the contents of `run.json`.
///
/// The text is a function of the value; keys stay in this order. It names no user and no host,
/// and paths stand as they were given.
public struct Manifest: Sendable, Equatable {
  /// A file that was read.
  public struct Input: Sendable, Equatable {
    /// As it was given.
    public var path: String
    /// In lower-case hexadecimal.
    public var sha256: String
    /// In bytes.
    public var size: Int
    /// Makes one from its parts; see the properties.
    public init(path: String, sha256: String, size: Int) {
      self.path = path
      self.sha256 = sha256
      self.size = size
    }
    /// Reads the file for its size and digest.
    public init(reading path: String) throws(FileError) {
      let (digest, size) = try Digest.sha256(file: path)
      self.init(path: path, sha256: digest, size: size)
    }
  }

  /// A file that was written, by its name in the output folder.
  public struct Output: Sendable, Equatable {
    /// One component of a path.
    public var name: String
    /// In lower-case hexadecimal.
    public var sha256: String
    /// In bytes.
    public var size: Int
    /// Makes one from its parts; see the properties.
    public init(name: String, sha256: String, size: Int) {
      self.name = name
      self.sha256 = sha256
      self.size = size
    }

    var json: JSONValue {
      ["name": .string(name), "sha256": .string(sha256), "size": .integer(size)]
    }
  }

  /// An image that was left out.
  public struct Skip: Sendable, Equatable {
    /// Its id in the data set.
    public var image: String
    /// Why, in words.
    public var reason: String
    /// Makes one from its parts; see the properties.
    public init(image: String, reason: String) {
      self.image = image
      self.reason = reason
    }
  }

  /// Which run this is; filled by ``OutputFolder/commit(_:)``.
  public var identity: RunIdentity?
  /// The version of the program.
  public var version: String
  /// The full argument vector, the program name first.
  public var arguments: [String]
  /// Every setting as it was resolved, defaults included.
  public var configuration: JSONValue
  /// What figures depend on beside tables and settings.
  public var networks: [NetworkOutline] = []
  /// Files that were read, in the order given.
  public var inputs: [Input] = []
  /// Filled by ``OutputFolder/commit(_:)``.
  public var outputs: [Output] = []
  /// The seed of every random number.
  public var seed: Int
  /// The estimator of each analysis, in words.
  public var estimators: [String] = []
  /// Images that counted.
  public var imageCount: Int
  /// Images that were left out.
  public var skipped: [Skip] = []
  /// Remarks: values that are not finite, minibatches left out, tensors not used.
  public var notes: [String] = []
  /// Worker threads of each process.
  public var threads: Int
  /// Processes that shared the work, under MPI.
  public var ranks = 1
  /// The kernels in use: instruction sets, BLAS core.
  public var kernels: [String] = []
  /// From start to end, in seconds.
  public var wallSeconds: Double = 0

  /// Makes one from its parts; see the properties.
  public init(
    version: String, arguments: [String], configuration: JSONValue, seed: Int, imageCount: Int,
    threads: Int
  ) {
    self.version = version
    self.arguments = arguments
    self.configuration = configuration
    self.seed = seed
    self.imageCount = imageCount
    self.threads = threads
  }

  static let tool = "vitprobe"
  static let fileName = "run.json"

  /// The document.
  public var json: JSONValue {
    [
      "tool": .string(Self.tool),
      "version": .string(version),
      "run": identity?.json ?? .null,
      "arguments": .array(arguments.map(JSONValue.string)),
      "configuration": configuration,
      "networks": .array(networks.map(\.json)),
      "inputs": .array(
        inputs.map {
          ["path": .string($0.path), "sha256": .string($0.sha256), "size": .integer($0.size)]
        }),
      "outputs": .array(outputs.map(\.json)),
      "seed": .integer(seed),
      "estimators": .array(estimators.map(JSONValue.string)),
      "n_images": .integer(imageCount),
      "skipped": .array(
        skipped.map { ["image": .string($0.image), "reason": .string($0.reason)] }),
      "notes": .array(notes.map(JSONValue.string)),
      "threads": .integer(threads),
      "ranks": .integer(ranks),
      "kernels": .array(kernels.map(JSONValue.string)),
      "wall_seconds": .real(wallSeconds),
    ]
  }
}
