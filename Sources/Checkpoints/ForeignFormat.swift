/// A kind of file that people take for weights and that is not read here: what it is, and what to do.
struct ForeignFormat: Sendable {
  /// What the file is.
  let found: String
  /// What to do.
  let advice: String
  private let signs: @Sendable (UnsafeRawBufferPointer) -> Bool
  private let extensions: [String]

  /// - Parameters:
  ///   - extensions: endings of names that tell the kind where bytes do not.
  ///   - signs: whether the bytes tell the kind.
  init(
    _ found: String, extensions: [String] = [], advice: String,
    signs: @escaping @Sendable (UnsafeRawBufferPointer) -> Bool = { _ in false }
  ) {
    self.found = found
    self.advice = advice
    self.signs = signs
    self.extensions = extensions
  }

  /// The kind that the bytes of a file tell.
  static func first(of file: MappedFile) -> ForeignFormat? {
    all.first { $0.signs(file.bytes) } ?? text(file)
  }

  /// The kind that the name of a file tells.
  static func byName(_ path: String) -> ForeignFormat? {
    all.first { kind in kind.extensions.contains { path.lowercased().hasSuffix($0) } }
  }

  /// The error that names the kind.
  func refusal(_ path: String) -> CheckpointError {
    CheckpointError(
      .unsupported, file: path, found: found,
      expected: "a safetensors, .npy, .npz or torch.save file", advice: advice)
  }

  // MARK: The table

  private static let resave =
    "Load it where it was made and save the weights with torch.save(model.state_dict(), …) or as "
    + "safetensors"
  private static let unpack = "Unpack it first, and name the file inside"

  private static let all: [ForeignFormat] = [
    // What a download leaves instead of the file.
    ForeignFormat(
      "a Git LFS pointer: a few lines of text that stand for the real file",
      advice: "Fetch the real file with git lfs pull, or download it again",
      signs: { $0.holds("version https://git-lfs.github.com/spec/") }),
    ForeignFormat(
      "a web page (HTML), not weights: probably the page of a failed or forbidden download",
      advice: "Download the file itself, with an account or token if it asks for one",
      signs: { bytes in
        let start = lowercaseStart(bytes)
        return ["<!doctype html", "<html", "<head", "<body", "<!--"].contains {
          start.hasPrefix($0)
        }
      }),
    ForeignFormat(
      "an XML document, not weights: probably the error message of a failed download",
      advice: "Download the file again; with OpenVINO, export the weights as safetensors",
      signs: { lowercaseStart($0).hasPrefix("<?xml") || lowercaseStart($0).hasPrefix("<error") }),

    // Networks of other frameworks.
    ForeignFormat(
      "a GGUF file (llama.cpp), whose weights are quantised",
      advice: "Use the original weights it was made from", signs: { $0.holds("GGUF") }),
    ForeignFormat(
      "a GGML file (llama.cpp), whose weights are quantised",
      advice: "Use the original weights it was made from",
      signs: { $0.holds("lmgg") || $0.holds("tjgg") || $0.holds("fmgg") }),
    ForeignFormat(
      "a TensorFlow Lite model", extensions: [".tflite"],
      advice: "Use the original weights it was made from", signs: { $0.holds("TFL3", at: 4) }),
    ForeignFormat(
      "an HDF5 file, as Keras writes (.h5)", extensions: [".h5", ".hdf5", ".keras"],
      advice: "Read it with Keras or h5py and save the arrays with numpy.savez or as safetensors",
      signs: { $0.count >= 8 && $0[0] == 0x89 && $0.holds("HDF\r\n", at: 1) }),
    ForeignFormat(
      "the index of a TensorFlow checkpoint", extensions: [".ckpt.index", ".index"],
      advice:
        "Load the checkpoint with tf.train.load_checkpoint and save its arrays with numpy.savez",
      signs: { bytes in
        let footer: [UInt8] = [0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB]
        return bytes.count >= 48 && bytes[(bytes.count - 8)...].elementsEqual(footer)
      }),
    ForeignFormat(
      "a TensorFlow SavedModel", extensions: ["saved_model.pb"],
      advice: "Load it with TensorFlow and save its variables with numpy.savez",
      // saved_model_schema_version = 1, then the first graph.
      signs: { $0.count > 16 && $0[0] == 0x08 && $0[1] == 1 && $0[2] == 0x12 }),
    ForeignFormat(
      "a TensorFlow graph (.pb)", extensions: [".pb", ".pbtxt", ".meta"],
      advice: "Load it with TensorFlow and save its variables with numpy.savez"),
    ForeignFormat(
      "the data of a TensorFlow checkpoint",
      extensions: [".data-00000-of-00001", ".data-00000-of-00002", ".ckpt.data"],
      advice:
        "Load the checkpoint with tf.train.load_checkpoint and save its arrays with numpy.savez"),
    ForeignFormat(
      "a Flax file of msgpack", extensions: [".msgpack"],
      advice: "Load it with Flax and save its arrays with numpy.savez"),
    ForeignFormat(
      "an ExecuTorch program (.pte)", extensions: [".pte"], advice: resave,
      signs: { $0.holds("ET12", at: 4) || $0.holds("ET13", at: 4) }),
    ForeignFormat(
      "a Core ML model", extensions: [".mlmodel"],
      advice: "Use the original weights it was made from"),
    ForeignFormat(
      "a Caffe model", extensions: [".caffemodel"],
      advice: "Convert it to a PyTorch state dict first"),
    ForeignFormat(
      "Darknet weights (YOLO), a detector", extensions: [".weights"],
      advice: "Detectors of this kind are not supported"),
    ForeignFormat(
      "a TensorRT engine", extensions: [".engine", ".plan"], advice: resave,
      signs: { $0.holds("ftrt") }),
    ForeignFormat(
      "an MXNet parameter file", extensions: [".params"],
      advice: "Load it with MXNet and save its arrays with numpy.savez",
      signs: { $0.count > 16 && $0[0] == 0x12 && $0[1] == 1 && $0[2..<8].allSatisfy { $0 == 0 } }),

    // Archives and data of other kinds.
    ForeignFormat(
      "a tar archive", extensions: [".tar"],
      advice: unpack + "; what torch.save wrote in this form (before 2017) has to be saved again",
      signs: {
        $0.holds("ustar", at: 257) || $0.holds("sys_info\u{0}") || $0.holds("storages\u{0}")
      }
    ),
    ForeignFormat(
      "a gzip file", advice: unpack, signs: { $0.count > 2 && $0[0] == 0x1F && $0[1] == 0x8B }),
    ForeignFormat("a bzip2 file", advice: unpack, signs: { $0.holds("BZh") }),
    ForeignFormat(
      "an xz file", advice: unpack,
      signs: { $0.count > 6 && $0[0] == 0xFD && $0.holds("7zXZ", at: 1) }),
    ForeignFormat(
      "a Zstandard file", advice: unpack,
      signs: { $0.prefix(4).elementsEqual([0x28, 0xB5, 0x2F, 0xFD]) }),
    ForeignFormat(
      "a 7-Zip archive", advice: unpack,
      signs: { $0.prefix(4).elementsEqual([0x37, 0x7A, 0xBC, 0xAF]) }),
    ForeignFormat("a RAR archive", advice: unpack, signs: { $0.holds("Rar!") }),
    ForeignFormat(
      "a MATLAB file", extensions: [".mat"], advice: "Save its arrays with numpy.savez",
      signs: { $0.holds("MATLAB ") }),
    ForeignFormat("a Parquet file", advice: "Weights are expected", signs: { $0.holds("PAR1") }),
    ForeignFormat(
      "a PDF document", advice: "Check that this is the file you meant", signs: { $0.holds("%PDF") }
    ),
    ForeignFormat(
      "a PNG image", advice: "Images are given as `data`",
      signs: { $0.count > 8 && $0[0] == 0x89 && $0.holds("PNG", at: 1) }),
    ForeignFormat(
      "a JPEG image", advice: "Images are given as `data`",
      signs: { $0.prefix(3).elementsEqual([0xFF, 0xD8, 0xFF]) }),
    ForeignFormat(
      "a compiled program or library", advice: "Check that this is the file you meant",
      signs: { $0.count > 4 && $0[0] == 0x7F && $0.holds("ELF", at: 1) }),
    ForeignFormat(
      "a Python pickle of protocol 0 or 1",
      advice: resave,
      signs: { bytes in
        [
          "(dp0\n", "(lp0\n", "(dp1\n", "ccopy_reg\n", "ccollections\n", "cnumpy", "ctorch",
          "csklearn",
        ]
        .contains { start(bytes, 16).hasPrefix($0) }
      }),
  ]

  /// The kind that the members of a ZIP archive tell that torch did not write.
  static func archive(of names: [String]) -> ForeignFormat {
    func inside(_ endings: [String]) -> String? {
      names.first { name in endings.contains(where: name.hasSuffix) }
    }
    if inside(["model.weights.h5"]) != nil {
      return ForeignFormat(
        "a Keras 3 model (.keras)", advice: "Save model.get_weights() with numpy.savez")
    }
    let weights = [".pth", ".pt", ".bin", ".safetensors", ".ckpt", ".h5", ".onnx", ".npz", ".pkl"]
    if let name = inside(weights) {
      return ForeignFormat("a ZIP archive of files, among them \"\(name)\"", advice: unpack)
    }
    return ForeignFormat(
      "a ZIP archive without data.pkl and without .npy members",
      advice: "If it is an archive of files, unpack it and name the file inside")
  }

  // MARK: Text

  /// Text where weights were expected: JSON by what it describes, else by its first words.
  private static func text(_ file: MappedFile) -> ForeignFormat? {
    let head = start(file.bytes, 4096)
    guard file.bytes.count >= 4, !isBinary(file.bytes),
      let first = head.first(where: { !$0.isWhitespace && $0 != "\u{FEFF}" })
    else {
      return nil
    }
    if first == "{" || first == "[" { return json(head) }
    if head.contains("model_checkpoint_path:") {
      return ForeignFormat(
        "the list of a folder of TensorFlow checkpoints",
        advice:
          "Load the checkpoint with tf.train.load_checkpoint and save its arrays with numpy.savez")
    }
    let words = head.split(whereSeparator: \.isNewline).first.map { String($0.prefix(60)) } ?? ""
    return ForeignFormat(
      "a text file that starts with \"\(words)\", not weights: perhaps the message of a failed "
        + "download", advice: "Download the file again, or check that this is the one you meant")
  }

  private static func json(_ head: String) -> ForeignFormat {
    func says(_ keys: [String]) -> Bool { keys.contains { head.contains("\"\($0)\"") } }
    if says(["weight_map"]) {
      return ForeignFormat(
        "the index of weights in several files, not the weights",
        advice: "Name the folder that holds the index and its files")
    }
    if says(["peft_type", "base_model_name_or_path"]) {
      return ForeignFormat(
        "the settings of an adapter (LoRA), not weights",
        advice: "Merge the adapter into its base model (merge_and_unload) and save that")
    }
    if says(["model_type", "architectures", "architecture", "hidden_size", "image_mean"]) {
      return ForeignFormat(
        "settings (JSON) of a model, not weights",
        advice: "Name the folder they are in, with the weights beside them")
    }
    if says(["error", "message", "detail", "errors"]) {
      return ForeignFormat(
        "an error message (JSON) in place of weights, probably of a failed download",
        advice: "Download the file again, with an account or token if it asks for one")
    }
    return ForeignFormat(
      "a JSON document, not weights", advice: "Check that this is the file you meant")
  }

  /// Whether the first bytes are not text.
  private static func isBinary(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let head = bytes.prefix(512)
    let controls = head.contains { $0 < 0x20 && ![0x09, 0x0A, 0x0C, 0x0D].contains($0) }
    return controls || start(bytes, 512).unicodeScalars.contains("\u{FFFD}")
  }

  private static func start(_ bytes: UnsafeRawBufferPointer, _ count: Int) -> String {
    var head = bytes.prefix(count)
    // The cut may run through a character, which is at most four bytes long.
    var tail = 0
    while bytes.count > count, tail < 3, let last = head.last, last >= 0x80 {
      head.removeLast()
      tail += 1
    }
    return String(decoding: head, as: UTF8.self)
  }

  private static func lowercaseStart(_ bytes: UnsafeRawBufferPointer) -> String {
    String(
      start(bytes, 1024).drop { $0.isWhitespace || $0 == "\u{FEFF}" }.prefix(64)
    ).lowercased()
  }
}

/// An object in a pickle that is no dictionary of tensors, by the library that made it.
struct PickledObject {
  let found: String
  let advice: String

  private static let libraries: [(prefix: String, found: String, advice: String)] = [
    (
      "sklearn", "a scikit-learn model in a pickle",
      "Models of scikit-learn have no layers to look at; name the weights of a network"
    ),
    (
      "joblib", "what joblib wrote",
      "Load it with joblib and save the arrays with numpy.savez"
    ),
    ("xgboost", "an XGBoost model in a pickle", "Name the weights of a network"),
    ("lightgbm", "a LightGBM model in a pickle", "Name the weights of a network"),
    (
      "pandas", "a table of pandas in a pickle", "Save its values with numpy.savez"
    ),
    (
      "tensorflow", "objects of TensorFlow in a pickle",
      "Save the variables with numpy.savez"
    ),
    ("keras", "objects of Keras in a pickle", "Save model.get_weights() with numpy.savez"),
    ("jax", "arrays of JAX in a pickle", "Save them with numpy.savez"),
    (
      "fastai", "a learner of fastai, which is code as well as weights",
      "Save learn.model.state_dict() with torch.save"
    ),
  ]

  /// The first library that objects of a file are of.
  static func first(in globals: [PickleGraph.Global]) -> PickledObject? {
    for library in libraries {
      let isThere = globals.contains {
        $0.module == library.prefix || $0.module.hasPrefix(library.prefix + ".")
      }
      if isThere { return PickledObject(found: library.found, advice: library.advice) }
    }
    return nil
  }
}
