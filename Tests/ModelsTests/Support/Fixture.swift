import Checkpoints
import Glibc
import Models
import StrictJSON
import Tensors

/// Golden values of one model, and the names and shapes of its weights.
struct Fixture {
  let checkpoint: Checkpoint
  let name: String

  static var folder: String {
    String(#filePath.dropLast("Support/Fixture.swift".count)) + "Fixtures/"
  }

  /// The fixtures of some families: small instances whole, or full-size ones in samples.
  static func names(of families: Set<String>, full: Bool = false) -> [String] {
    allNames.filter { name in
      name.hasPrefix("full-") == full
        && (try? Fixture(name)).flatMap { $0.checkpoint.metadata["family"] }
          .map(families.contains) ?? false
    }
  }

  private static var allNames: [String] {
    guard let folder = opendir(folder) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name.hasSuffix(".safetensors") {
        names.append(String(name.dropLast(".safetensors".count)))
      }
    }
    return names.sorted()
  }

  init(_ name: String) throws {
    self.name = name
    checkpoint = try Checkpoint.open(Self.folder + name + ".safetensors")
  }

  func json(_ key: String) throws -> JSONValue {
    let text = Array((checkpoint.metadata[key] ?? "null").utf8)
    return try text.withUnsafeBytes { try JSONValue.parse($0, file: name) }
  }

  /// Names and shapes in the order of the state dict.
  func keys(_ key: String = "keys") throws -> [(name: String, shape: [Int])] {
    try (json(key).arrayValue ?? []).map { pair in
      (
        pair.arrayValue?[0].stringValue ?? "",
        pair.arrayValue?[1].arrayValue?.compactMap(\.intValue) ?? []
      )
    }
  }

  /// The input as the models take it, channels last.
  func input() throws -> Tensor {
    let shape = try (json("input_shape").arrayValue ?? []).compactMap(\.intValue)
    return DeterministicFill.values("input", shape, isInput: true).permuted([0, 2, 3, 1])
  }

  /// Hyper-parameters that weights do not tell, as an architecture's text.
  func architecture() throws -> Architecture? {
    let config = try json("config")
    let isPublished = checkpoint.metadata["dialect"] == "hdv"
    let family: String
    let names: [String]
    switch checkpoint.metadata["family"] {
    case "vit": (family, names) = ("vit", ["patch", "dim", "depth", "heads", "classes"])
    case "swin" where isPublished:
      family = "swin"
      names = ["image", "window", "depths", "head-dim", "heads", "mlp", "classes"]
    case "swin":
      family = "swin"
      names = ["image", "patch", "window", "dim", "depths", "heads", "classes"]
    case "pit" where isPublished:
      family = "pit"
      names = ["image", "patch", "stride", "dims", "depths", "heads", "mlp", "classes"]
    case "pit": (family, names) = ("pit", ["image", "patch", "stride", "depths", "heads"])
    case "pvt":
      family = "pvt"
      names = ["image", "patch", "dims", "depths", "heads", "mlp", "reductions", "classes"]
    case "volo":
      family = "volo"
      names = [
        "image", "patch", "dims", "depths", "heads", "stem-width", "mlp-ratio", "class-blocks",
        "classes",
      ]
    case "sasa", "convit", "aa_wide_resnet", "attention_cnn":
      family = checkpoint.metadata["family"] ?? ""
      names = (config.objectValue ?? []).map(\.name)
    case "resnet" where config["non-local-form"] != nil:
      (family, names) = ("resnet", ["non-local-form"])
    default: return nil
    }
    var arguments = names.compactMap { name -> String? in
      guard let value = config[name == "head-dim" ? "head_dim" : name] else { return nil }
      if let number = value.intValue { return "\(name)=\(number)" }
      if let word = value.stringValue { return "\(name)=\(word)" }
      let numbers = (value.arrayValue ?? []).compactMap(\.intValue)
      // An image size is given as height and width.
      return "\(name)=\((name == "image" ? [numbers[0]] : numbers).argument)"
    }
    if family == "pit", !isPublished, let base = config["base"]?.intValue {
      let heads = (config["heads"]?.arrayValue ?? []).compactMap(\.intValue)
      arguments.append("dims=\(heads.map { base * $0 }.argument)")
      arguments.append("grid=\(try keys().first { $0.name == "pos_embed" }?.shape.last ?? 0)")
    }
    if family == "pit", isPublished { arguments.append("class-position=true") }
    if let windows = config["attended"]?.arrayValue?.compactMap(\.intValue) {
      arguments.append("attended-windows=\(windows.argument)")
    }
    if family == "swin", isPublished {
      let dims = (config["dims"]?.arrayValue ?? []).compactMap(\.intValue)
      let patch = config["pools"]?.arrayValue?.first?.intValue ?? 0
      arguments.append(
        "form=how-do-vits-work,dim=\(dims[0]),widths=\(dims.argument),patch=\(patch)")
    }
    return try Architecture("\(family)(\(arguments.joined(separator: ",")))")
  }

  /// Runs `body` with a checkpoint file of the deterministic weights, names and all.
  func withWeights<R>(
    prefix: String = "", metadata: [String: String] = [:], _ body: (Checkpoint) throws -> R
  ) throws -> R {
    var tensors = try keys().map { (prefix + $0.name, DeterministicFill.values($0.name, $0.shape)) }
    tensors += try keys("integers").map {
      (prefix + $0.name, Tensor(repeating: 0, shape: Shape($0.shape)))
    }
    return try withCheckpoint(tensors, metadata: metadata, body)
  }
}
