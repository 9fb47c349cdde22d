import Checkpoints
import Glibc
import Images
import Models
import StrictJSON
import Tensors
import VitProbe

/// Everything that reads what somebody else wrote, each as one call on bytes. An input may be read or
/// refused; it must not trap, hang, or ask for memory that the file cannot justify.
///
/// The tests replay the corpus through these calls, and `Fuzzing/run.sh` searches for more inputs.
enum FuzzTarget: String, CaseIterable {
  /// A checkpoint, as the name says; every value is converted.
  case safetensors, numpy, torch
  /// The pickle of a checkpoint, in an archive that is sound otherwise: no checksum hides it.
  case pickle
  /// The object of a stream as torch wrote it before 1.6, between sound other parts.
  case stream
  /// A compressed storage in a sound archive.
  case deflated
  /// Metadata of a sound safetensors file, which may name tensors that stand for others.
  case tied
  /// The document of an exported graph, in an archive with weights of zero as it asks for.
  case graph
  /// An ONNX model.
  case onnx
  /// One JSON document.
  case json
  /// `config.json` beside the weights of a small network, of every family in turn.
  case config
  /// An image file.
  case png, jpeg, netpbm, bmp, tiff, webp
  /// Images or labels in IDX, plain or gzip.
  case idx
  /// The binary version of CIFAR: bytes spread over records, so that a few lines of input fill one.
  case cifar
  /// An array of images with labels.
  case array
  /// A file of labels, text or CSV, for four images.
  case labels
  /// A file of features.
  case features
  /// The entry `taps` of the metadata of a sound file of features.
  case taps
  /// SUBJECT and architecture as a user types them.
  case subject

  /// Reads one input; errors of the libraries are what is expected of most.
  func read(_ bytes: UnsafeRawBufferPointer) {
    switch self {
    case .safetensors, .numpy, .torch: onFile(bytes) { try Self.readCheckpoint($0) }
    case .pickle: onFile(Self.archive(around: bytes)) { try Self.readCheckpoint($0) }
    case .stream: onFile(Self.stream(around: bytes)) { try Self.readCheckpoint($0) }
    case .deflated:
      onFile(Self.archive(storing: bytes)) { try Self.readCheckpoint($0) }
    case .tied: onFile(Self.tensors(describedBy: bytes)) { try Self.readCheckpoint($0) }
    case .graph: onFile(Self.exported(graph: bytes)) { try Self.readGraph($0) }
    case .onnx: onFile(bytes) { try Self.readGraph($0) }
    case .json: Self.readJSON(bytes)
    case .config:
      for folder in FuzzFolder.all {
        folder.write(bytes)
        guard let checkpoint = try? Checkpoint.open(folder.path) else { return }
        if let architecture = try? ModelLoader.detect(checkpoint) {
          _ = try? ModelSummary(architecture)
        }
        _ = try? Preprocessing(of: checkpoint, fallback: .imageNet(224, crop: 0.9))
      }
    case .png:
      Self.decode(Array(bytes))
      Self.decode(Self.withChunkChecksums(Array(bytes)))
    case .jpeg, .netpbm, .bmp, .tiff, .webp: Self.decode(Array(bytes))
    case .idx: onFile(bytes) { try Self.readImages($0) }
    case .cifar:
      let records = Self.records(bytes)
      records.withUnsafeBytes { onFile($0) { try Self.readImages($0) } }
    case .array:
      onFile(bytes) { path in
        let images = try DataArgument(path: path).open()
        for position in 0..<min(images.count, 8) { _ = try images.decode(position) }
      }
    case .labels:
      onFile(bytes) { path in
        let images = try ArrayImages(
          name: "x", shape: [4, 1, 1], element: .uint8, bytes: [0, 1, 2, 3],
          ids: ["a/0.png", "a/1.png", "b/0.png", "b/1.png"])
        let table = try LabelTable(reading: path, for: images)
        _ = try ImageDataSet(images, name: "x", labels: table)
      }
    case .features: onFile(bytes) { try Self.readFeatures($0) }
    case .taps:
      let file = Self.features(taps: bytes)
      file.withUnsafeBytes { onFile($0) { try Self.readFeatures($0) } }
    case .subject: Self.readSubject(String(decoding: bytes, as: UTF8.self))
    }
  }

  // MARK: Readers

  /// What was read is written and read again: the same value.
  private static func readJSON(_ bytes: UnsafeRawBufferPointer) {
    guard let value = try? JSONValue(parsing: bytes) else { return }
    let again = try? JSONValue(parsing: Array(value.compact.utf8))
    precondition(again == value, "a document does not read back")
  }

  private static func readCheckpoint(_ path: String) throws {
    for entry in [CheckpointEntry.automatic, .averaged, .named("model")] {
      let checkpoint = try Checkpoint.open(path, entry: entry)
      // A small file may show one storage many times.
      for tensor in checkpoint.tensors.prefix(64)
      where tensor.dtype.isConvertible && tensor.byteCount <= 1 << 20 {
        let values = try tensor.floats()
        precondition(values.count == tensor.count, "another number of values than the shape has")
      }
      if entry == .automatic { _ = try? ModelLoader.detect(checkpoint) }
    }
  }

  private static func readGraph(_ path: String) throws {
    let checkpoint = try Checkpoint.open(path)
    guard let program = checkpoint.program else { return }
    for tensor in checkpoint.tensors.prefix(64)
    where tensor.dtype.isConvertible && tensor.byteCount <= 1 << 20 { _ = try tensor.floats() }
    _ = GraphOperations(program).unknown
    _ = try GraphLoader.load(checkpoint, program) { $0 == $1 }
  }

  private static var limits: ImageLimits {
    var limits = ImageLimits()
    limits.pixels = 1 << 20
    limits.unpackedBytes = 1 << 20
    return limits
  }

  private static func decode(_ bytes: [UInt8]) {
    guard let image = try? DecodedImage(decoding: bytes, name: "input", limits: limits),
      case .bytes(let pixels) = image.pixels
    else { return }
    precondition(
      pixels.count == image.width * image.height * image.channels, "pixels beyond the image")
  }

  private static func readImages(_ path: String) throws {
    let images = try ImageDataSet.open(path, limits: limits)
    for position in Set([0, images.count / 2, images.count - 1]) where position >= 0 {
      _ = (images.id(position), images.label(position))
      _ = try images.decode(position)
    }
  }

  private static func readFeatures(_ path: String) throws {
    let checkpoint = try Checkpoint.open(path)
    let subject = try FeatureSubject(checkpoint, label: nil, defaultLabel: "f")
    let samples = subject.samples(shuffleSeed: 1)
    try subject.require(samples)
    _ = subject.memory(images: 4, wanting: ["a", "logits"])
    _ = (subject.summary, subject.notes)
    for position in 0..<min(samples.count, 4) {
      _ = (samples.id(position), samples.label(position))
    }
  }

  private static func readSubject(_ text: String) {
    guard text.utf8.count <= 4096 else { return }
    if let subject = try? SubjectArgument(text) {
      _ = subject.defaultLabel
      if let architecture = subject.architecture { readArchitecture(architecture) }
    }
    readArchitecture(text)
  }

  private static func readArchitecture(_ text: String) {
    guard let architecture = try? Architecture(text) else { return }
    let again = try? Architecture(architecture.text)
    precondition(again?.text == architecture.text, "\(architecture.text) does not read back")
    _ = try? ModelSummary(architecture)
  }

  // MARK: Files

  private func onFile(_ bytes: UnsafeRawBufferPointer, _ body: (String) throws -> Void) {
    FuzzFile.withPath(of: bytes) { path in
      do { try body(path) } catch { precondition(!"\(error)".isEmpty) }
    }
  }

  private func onFile(_ bytes: [UInt8], _ body: (String) throws -> Void) {
    bytes.withUnsafeBytes { onFile($0, body) }
  }

  private static func little(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  /// An archive as `torch.save` writes it without checksums: the pickle and two storages.
  private static func archive(around pickle: UnsafeRawBufferPointer) -> [UInt8] {
    archive([
      ("a/data.pkl", Array(pickle), nil), ("a/data/0", [UInt8](repeating: 0, count: 24), nil),
      ("a/data/1", [UInt8](repeating: 0, count: 192), nil),
    ])
  }

  /// An archive of `torch.export` with the graph as the input says. All weights are one payload of zeros.
  private static func exported(graph: UnsafeRawBufferPointer) -> [UInt8] {
    let payload = [UInt8](repeating: 0, count: 1 << 16)
    let document = try? JSONValue(parsing: graph)
    let module = document?["graph_module"]
    var weights: [JSONValue.Member] = []
    for input in module?["signature"]?["input_specs"]?.arrayValue ?? [] {
      guard let specification = input.objectValue?.first,
        let value = specification.value["arg"]?["name"]?.stringValue,
        let tensor = specification.value[specification.name + "_name"]?.stringValue,
        let meta = module?["graph"]?["tensor_values"]?[value],
        let sizes = meta["sizes"]?.arrayValue, sizes.count <= 8
      else { continue }
      var strides: [JSONValue] = []
      var stride = 1
      for size in sizes.reversed() {
        strides.insert(["as_int": .integer(stride)], at: 0)
        stride = stride &* (size["as_int"]?.intValue ?? 1)
      }
      weights.append(
        .init(
          tensor,
          [
            "path_name": "weight_0", "use_pickle": false,
            "tensor_meta": [
              "dtype": meta["dtype"] ?? .null, "sizes": .array(sizes), "strides": .array(strides),
              "storage_offset": ["as_int": 0], "layout": 7,
            ],
          ]))
    }
    let list: JSONValue = ["config": .object(weights)]
    return archive([
      ("m/archive_format", Array("pt2".utf8), nil), ("m/models/model.json", Array(graph), nil),
      ("m/data/weights/model_weights_config.json", Array(list.compact.utf8), nil),
      ("m/data/weights/weight_0", payload, nil),
    ])
  }

  /// An archive whose one storage, of six singles, is compressed as the input says.
  private static func archive(storing bytes: UnsafeRawBufferPointer) -> [UInt8] {
    archive([("a/data.pkl", statePickle, nil), ("a/data/0", Array(bytes), 24)])
  }

  /// Members by name, with the size once inflated of one that is compressed.
  private static func archive(_ members: [(String, [UInt8], Int?)]) -> [UInt8] {
    var file: [UInt8] = []
    var directory: [UInt8] = []
    for (name, data, inflated) in members {
      let sizes = little(UInt32(data.count)) + little(UInt32(inflated ?? data.count))
      let common =
        [20, 0, 0, 0, inflated == nil ? 0 : 8, 0, 0, 0, 0, 0, 0, 0, 0, 0] + sizes
        + little(UInt16(name.utf8.count)) + [0, 0]
      directory += little(UInt32(0x0201_4B50)) + [20, 0] + common
      directory += [UInt8](repeating: 0, count: 10) + little(UInt32(file.count)) + name.utf8
      file += little(UInt32(0x0403_4B50)) + common + name.utf8 + data
    }
    let count = little(UInt16(members.count))
    let end =
      [0, 0, 0, 0] + count + count + little(UInt32(directory.count)) + little(UInt32(file.count))
      + [0, 0]
    return file + directory + little(UInt32(0x0605_4B50)) + end
  }

  /// `{"a": tensor of storage "0"}`, six singles.
  private static var statePickle: [UInt8] {
    func text(_ text: String) -> [UInt8] {
      [UInt8(ascii: "X")] + little(UInt32(text.utf8.count)) + text.utf8
    }
    var pickle: [UInt8] = [0x80, 2] + Array("}".utf8) + text("a")
    pickle += "ctorch._utils\n_rebuild_tensor_v2\n((".utf8 + text("storage")
    pickle += "ctorch\nFloatStorage\n".utf8 + text("0") + text("cpu") + "K\u{06}tQ".utf8
    pickle += "K\u{00}(K\u{02}K\u{03}t(K\u{03}K\u{01}t".utf8
    return pickle + [0x89] + "ccollections\nOrderedDict\n)RtRs.".utf8
  }

  /// A stream of before PyTorch 1.6 with storages "0" and "1" around the pickle of its object.
  private static func stream(around object: UnsafeRawBufferPointer) -> [UInt8] {
    var file: [UInt8] = [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50]
    file += [0x19, 0x2E, 0x80, 2] + "M".utf8 + [0xE9, 3] + ".}.".utf8 + Array(object)
    file += "](X\u{01}\u{00}\u{00}\u{00}0X\u{01}\u{00}\u{00}\u{00}1e.".utf8
    for count in [6, 48] {
      file += little(Int64(count)) + [UInt8](repeating: 0, count: count * 4)
    }
    return file
  }

  /// Two tensors behind `__metadata__` as the input says.
  private static func tensors(describedBy metadata: UnsafeRawBufferPointer) -> [UInt8] {
    let header =
      "{\"__metadata__\":\(String(decoding: metadata, as: UTF8.self)),"
      + "\"a.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
      + "\"b\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[24,28]}}"
    return little(UInt64(header.utf8.count)) + header.utf8 + [UInt8](repeating: 0, count: 28)
  }

  /// Three samples of one layer of five tokens, described by `taps`.
  private static func features(taps: UnsafeRawBufferPointer) -> [UInt8] {
    var text = ""
    for scalar in String(decoding: taps, as: UTF8.self).unicodeScalars {
      switch scalar {
      case "\"", "\\": text += "\\\(scalar)"
      case "\u{0}"..<" ":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    let header =
      "{\"__metadata__\":{\"format\":\"vitprobe-features\",\"taps\":\"\(text)\"},"
      + "\"a\":{\"dtype\":\"F32\",\"shape\":[3,5,2],\"data_offsets\":[0,120]}}"
    return little(UInt64(header.utf8.count)) + header.utf8 + [UInt8](repeating: 0, count: 120)
  }

  /// Two bytes of input begin each record; the first says which of the two formats it is.
  private static func records(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
    guard let first = bytes.first else { return [] }
    let length = first.isMultiple(of: 2) ? 3073 : 3074
    var file: [UInt8] = []
    for start in stride(from: 1, to: bytes.count, by: 2) {
      file += bytes[start..<min(start + 2, bytes.count)]
      file += [UInt8](repeating: first, count: length * (start + 1) / 2 - file.count)
    }
    // A remainder makes a file that is cut short.
    return file + [UInt8](repeating: 0, count: Int(first / 128))
  }

  /// The chunks of a PNG with the checksums that they should have, so that mutants get past them.
  private static func withChunkChecksums(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    var place = 8
    while place + 12 <= bytes.count {
      let length = bytes[place..<place + 4].reduce(0) { $0 << 8 | Int($1) }
      guard length <= bytes.count - place - 12 else { break }
      var sum: UInt32 = 0xFFFF_FFFF
      for byte in bytes[(place + 4)..<(place + 8 + length)] {
        sum ^= UInt32(byte)
        for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xEDB8_8320 : sum >> 1 }
      }
      let end = place + 8 + length
      bytes.replaceSubrange(end..<end + 4, with: little((~sum).byteSwapped))
      place = end + 4
    }
    return bytes
  }
}

/// A file in memory that has no name but a path.
private enum FuzzFile {
  static func withPath(of bytes: UnsafeRawBufferPointer, _ body: (String) -> Void) {
    var template = Array("/dev/shm/vitprobe-fuzz-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    guard descriptor >= 0 else { return }
    // The descriptor is path enough; the name would stay behind after a crash.
    unlink(template)
    defer { close(descriptor) }
    var done = 0
    while done < bytes.count {
      let count = write(descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
      guard count > 0 else { return }
      done += count
    }
    body("/proc/self/fd/\(descriptor)")
  }
}

/// A folder with the weights of a small network, for the settings beside them to change.
private final class FuzzFolder: Sendable {
  /// One for each family, by canonical names, and one by Hugging Face's.
  static let all: [FuzzFolder] =
    [FuzzFolder(vitOfHuggingFace)]
    + [
      "vit(image=8,patch=4,dim=6,depth=1,heads=2,classes=3)",
      "refiner(image=8,patch=4,dim=6,depth=1,heads=2,classes=3)",
      "refiner_vit(image=8,patch=4,dim=6,depth=2,heads=2,classes=3)",
      "resnet(stem=cifar,image=8,depths=1-1,block=basic,width=2,classes=3)",
      "swin(image=8,patch=1,window=2,dim=4,depths=2-2,heads=1-2,classes=3)",
      "swin(form=how-do-vits-work,image=8,patch=1,window=2,dim=4,depths=2-2,head-dim=2,heads=1-2,"
        + "classes=3)",
      "pit(image=8,patch=4,stride=2,dims=4-8,depths=1-1,heads=1-2,classes=3)",
      "mixer(image=8,patch=4,dim=4,depth=1,classes=3)",
      "alternet(stem=cifar,image=8,depths=1-2,msa=0-1,block=basic,width=2,heads=1-1,head-dim=2,"
        + "window=2,classes=3)",
    ].compactMap { text in
      (try? ModelSummary(Architecture(text))).map { summary in
        FuzzFolder(summary.parameters.map { ($0.name, $0.storedShape) })
      }
    }

  let path: String

  private init(_ shapes: [(String, [Int])]) {
    var template = Array("/dev/shm/vitprobe-fuzz-XXXXXX".utf8CString)
    path =
      mkdtemp(&template) == nil
      ? "" : String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    Self.file(shapes).withUnsafeBytes { Self.write($0, to: path + "/model.safetensors") }
    foldersToRemove.append(path)
    guard foldersToRemove.count == 1 else { return }
    atexit {
      for folder in foldersToRemove {
        unlink(folder + "/model.safetensors")
        unlink(folder + "/config.json")
        rmdir(folder)
      }
    }
  }

  func write(_ bytes: UnsafeRawBufferPointer) { Self.write(bytes, to: path + "/config.json") }

  private static func write(_ bytes: UnsafeRawBufferPointer, to path: String) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var done = 0
    while done < bytes.count {
      let count = Glibc.write(
        descriptor, bytes.baseAddress?.advanced(by: done), bytes.count - done)
      guard count > 0 else { return }
      done += count
    }
  }

  /// Hugging Face's names, one layer of width 6.
  private static var vitOfHuggingFace: [(String, [Int])] {
    let dim = 6
    let layer = "vit.encoder.layer.0."
    var shapes: [(String, [Int])] = [
      ("vit.embeddings.cls_token", [1, 1, dim]),
      ("vit.embeddings.position_embeddings", [1, 5, dim]),
      ("vit.embeddings.patch_embeddings.projection.weight", [dim, 3, 4, 4]),
      ("vit.embeddings.patch_embeddings.projection.bias", [dim]),
    ]
    for name in ["query", "key", "value"] {
      shapes.append((layer + "attention.attention.\(name).weight", [dim, dim]))
      shapes.append((layer + "attention.attention.\(name).bias", [dim]))
    }
    for (name, shape) in [
      ("attention.output.dense", [dim, dim]), ("intermediate.dense", [2 * dim, dim]),
      ("output.dense", [dim, 2 * dim]),
    ] {
      shapes.append((layer + name + ".weight", shape))
      shapes.append((layer + name + ".bias", [shape[0]]))
    }
    for name in [layer + "layernorm_before", layer + "layernorm_after", "vit.layernorm"] {
      shapes.append((name + ".weight", [dim]))
      shapes.append((name + ".bias", [dim]))
    }
    shapes.append(("classifier.weight", [3, dim]))
    shapes.append(("classifier.bias", [3]))
    return shapes
  }

  /// A safetensors file of zeros.
  private static func file(_ shapes: [(String, [Int])]) -> [UInt8] {
    var entries: [String] = []
    var offset = 0
    for (name, shape) in shapes {
      let end = offset + 4 * shape.reduce(1, *)
      entries.append(
        "\"\(name)\":{\"dtype\":\"F32\",\"shape\":\(shape),\"data_offsets\":[\(offset),\(end)]}")
      offset = end
    }
    let header = "{" + entries.joined(separator: ",") + "}"
    return withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) } + header.utf8
      + [UInt8](repeating: 0, count: offset)
  }
}

/// Filled once, for the end of the process.
private nonisolated(unsafe) var foldersToRemove: [String] = []
