import Checkpoints
import Diagnostics
import Images
import Models
import Reports
import StrictJSON
import Tensors
import TestSupport
import Testing

@testable import VitProbe

/// What users of other tools ran into in public, each as it would meet a user here.
@Suite struct PublicThreadsTests {
  private func features(
    _ layers: [FeatureLayer], ids: [String]? = nil, label: String = "f", in scratch: Scratch
  ) throws -> FeatureSubject {
    var metadata = ["format": "vitprobe-features", "label": label]
    metadata["ids"] = ids.map { JSONValue.array($0.map(JSONValue.string)).compact }
    let path = try featureFile(layers, metadata: metadata, in: scratch, as: label + ".safetensors")
    return try #require(try open(path) as? FeatureSubject)
  }

  private func similarities(
    _ subjects: [FeatureSubject], batchSize: Int = 64, taps: TapSelection = TapSelection()
  ) throws -> [[String: String]] {
    var settings = CKASettings()
    settings.bootstrap = 0
    let run = try FeatureRun(
      subjects, on: subjects[0].samples(), analyses: [CKAAnalyzer(settings)], taps: taps,
      options: Samples.options(batchSize: batchSize))
    return try cka(try run())
  }

  private func value(_ row: [String: String]?) throws -> Double {
    try #require(Double(row?["cka"] ?? ""))
  }

  // MARK: NaN and wrong numbers

  /// AntixK/PyTorch-Model-Compare #2, #6, #10 and #15; numpee/CKA.pytorch #2: NaN after many batches,
  /// at any batch size, for networks whose features have a large mean.
  @Test(arguments: [16, 64, 128])
  func largeMeansGiveNoNaN(batchSize: Int) throws {
    let scratch = Scratch()
    let plain = [noise(512 * 24, seed: 1), noise(512 * 24, seed: 2)]
    let shared = zip(plain[0], plain[1]).map { $0 + $1 }
    let centred = try features(
      [.init("a", [512, 24], plain[0]), .init("b", [512, 24], shared)], label: "c", in: scratch)
    // Offsets that keep eight bits of the fraction.
    let moved = try features(
      [
        .init("a", [512, 24], plain[0].map { $0 + 1000 }),
        .init("b", [512, 24], shared.map { $0 - 30000 }),
      ], label: "m", in: scratch)
    let expected = try similarities([centred], batchSize: batchSize)
    let found = try similarities([moved], batchSize: batchSize)
    for (a, b) in zip(expected, found) {
      #expect(b["status"] == "ok")
      #expect(abs(try value(a) - value(b)) < 1e-3)
    }
    #expect(try value(found[1]) > 0.3)
  }

  /// AntixK/PyTorch-Model-Compare #4: with some layers only, all is NaN, because hooks of layers by
  /// those names never fire. A name that is no layer's is an error that lists what there is.
  @Test func unknownLayersAreNamed() throws {
    let scratch = Scratch()
    let subject = try features([.init("blocks.0", [8, 3], noise(24, seed: 1))], in: scratch)
    let error = failure {
      _ = try similarities([subject], taps: TapSelection(layers: ["encoder.0"]))
    }
    #expect(error?.kind == .usage)
    #expect(error?.message.contains("encoder.0") == true)
    #expect(error?.message.contains("blocks.0") == true)
  }

  /// numpee/CKA.pytorch PR #4 and AntixK/PyTorch-Model-Compare #2: a last minibatch of one to three
  /// images has no unbiased estimate (0 / 0). It joins the one before.
  @Test(arguments: 16...20)
  func raggedLastMinibatches(images: Int) throws {
    let scratch = Scratch()
    let subject = try features([.init("a", [images, 5], noise(images * 5, seed: 3))], in: scratch)
    let row = try #require(try similarities([subject], batchSize: 8).first)
    #expect(row["status"] == "ok" && row["n_images"] == "\(images)")
    #expect(row["n_batches"] == (images < 20 ? "2" : "3"))
    #expect(abs(try value(row) - 1) < 1e-12)
  }

  /// yueyang2000/CKA_minibatch_pytorch #1: another map on every run of the same input, and an
  /// exception for a batch size of 1.
  @Test func theSameInputGivesTheSameBytes() throws {
    let scratch = Scratch()
    let subject = try features([.init("a", [32, 5], noise(160, seed: 3))], in: scratch)
    #expect(
      try similarities([subject], batchSize: 8) == similarities([subject], batchSize: 8))
    let error = failure { _ = try similarities([subject], batchSize: 1) }
    #expect(error?.kind == .usage && error?.message.contains("at least 4") == true)
  }

  /// phrasenmaeher/cka #1 and dmarx/cka_pytorch #2: a negative unbiased HSIC under a square root is
  /// NaN, with no hint. Here a negative self-similarity is a status, and a negative similarity of two
  /// layers is a number.
  @Test func negativeEstimatesAreNoNaN() throws {
    let scratch = Scratch()
    // Two pairs of images far apart: the unbiased self-term of this Gram matrix is negative.
    let ring: [Float] = [1, 0, 0, 1, -1, 0, 0, -1]
    let subject = try features(
      [.init("ring", [4, 2], ring), .init("noise", [4, 2], noise(8, seed: 9))], in: scratch)
    for row in try similarities([subject]) {
      let isDefined = row["status"] == "ok"
      #expect(isDefined == (Double(row["cka"] ?? "") != nil), "\(row)")
      #expect(["ok", "degenerate", "nonpositive_self"].contains(row["status"] ?? ""), "\(row)")
    }
  }

  /// ykumards/simtorch #20: values outside of 0 ... 1, because sums were divided by the number of
  /// layers instead of minibatches.
  @Test(arguments: [1, 2, 5])
  func manyLayersAndMinibatchesGiveOneOnTheDiagonal(layers: Int) throws {
    let scratch = Scratch()
    let subject = try features(
      (0..<layers).map { .init("l\($0)", [40, 7], noise(280, seed: UInt64($0) + 1)) }, in: scratch)
    for row in try similarities([subject], batchSize: 8)
    where row["layer_a_name"] == row["layer_b_name"] {
      #expect(abs(try value(row) - 1) < 1e-12)
    }
  }

  /// moskomule/anatome #18: with fewer images than features everything looks the same.
  @Test func fewImagesDoNotMakeNoiseAlike() throws {
    let scratch = Scratch()
    let subject = try features(
      [
        .init("a", [64, 500], noise(32000, seed: 1)), .init("b", [64, 500], noise(32000, seed: 2)),
      ], in: scratch)
    let rows = try similarities([subject], batchSize: 16)
    #expect(abs(try value(rows[1])) < 0.1)
  }

  /// CalculatedContent/WeightWatcher #148 (no centring), openturns/openturns #3005 (scale): neither
  /// a shift nor a scale of all features changes anything.
  @Test(arguments: [(Float(5), Float(1)), (0, 1e-12), (0, 1e12), (-3, 100)])
  func shiftAndScaleDoNotMatter(shift: Float, scale: Float) throws {
    let scratch = Scratch()
    let a = noise(32 * 6, seed: 1)
    let b = zip(a, noise(32 * 6, seed: 2)).map { $0 + $1 }
    func rows(_ values: [Float], _ label: String) throws -> [[String: String]] {
      try similarities([
        features(
          [.init("a", [32, 6], a), .init("b", [32, 6], values)], label: label, in: scratch)
      ])
    }
    let plain = try value(rows(b, "p")[1])
    #expect(abs(plain - (try value(rows(b.map { ($0 + shift) * scale }, "q")[1]))) < 1e-5)
  }

  // MARK: Two data loaders

  /// Two loaders that shuffle for themselves compare different images without a word (the loaders of
  /// AntixK/PyTorch-Model-Compare are zipped). Samples are matched by their names.
  @Test func aShuffledSecondFileIsPutInOrder() throws {
    let scratch = Scratch()
    let names = (0..<24).map { "img\($0)" }
    let values = noise(24 * 5, seed: 4)
    let order = (0..<24).map { ($0 * 7) % 24 }
    let first = try features([.init("x", [24, 5], values)], ids: names, label: "a", in: scratch)
    let second = try features(
      [.init("x", [24, 5], order.flatMap { values[($0 * 5)..<($0 * 5 + 5)] })],
      ids: order.map { names[$0] }, label: "b", in: scratch)
    for row in try similarities([first, second], batchSize: 8) {
      #expect(abs(try value(row) - 1) < 1e-12)
    }
  }

  /// torchgeo/torchgeo-bench #176: fail loudly when the samples differ. A loader that is shorter than
  /// the other must not cut it short either.
  @Test func otherSamplesAreAnError() throws {
    let scratch = Scratch()
    func file(_ names: [String], _ label: String) throws -> FeatureSubject {
      try features(
        [.init("x", [names.count, 2], noise(names.count * 2, seed: 1))], ids: names, label: label,
        in: scratch)
    }
    let names = (0..<8).map { "img\($0)" }
    let first = try file(names, "a")
    let other = failure {
      _ = try similarities([first, file(names.dropLast() + ["dog"], "b")])
    }
    #expect(other?.kind == .badData && other?.message.contains("img7") == true)
    let longer = failure { _ = try similarities([first, file(names + ["img8"], "c")]) }
    #expect(longer?.kind == .badData && longer?.message.contains("img8") == true)
    let twice = failure { _ = try file(names + ["img0"], "d") }
    #expect(twice?.kind == .badData && twice?.message.contains("img0") == true)
  }

  // MARK: Data and files

  /// pytorch/vision #485 and #138: name the damaged or truncated file. #72 and #8297: empty folders.
  @Test func damagedImagesAndEmptyFoldersAreNamed() throws {
    let scratch = Scratch()
    let empty = failure { _ = try DataArgument(path: scratch.folder("empty")).open() }
    #expect(empty?.message.contains("empty") == true)
    _ = scratch.folder("set")
    _ = scratch.folder("set/cat")
    scratch.write([0xFF, 0xD8, 0xFF, 0xE0, 0, 16], as: "set/cat/short.jpg")
    let images = try DataArgument(path: scratch.file("set")).open()
    let damaged = failure { _ = try images.decode(0) }
    #expect(damaged?.kind == .badData && damaged?.message.contains("cat/short.jpg") == true)
    _ = scratch.folder("set/dog")
    let hollow = failure { _ = try DataArgument(path: scratch.file("set")).open() }
    #expect(hollow?.message.contains("dog") == true)
  }

  /// safetensors/safetensors #401: the error on a key that stands twice speaks of something else.
  @Test func duplicateKeysAreNamed() throws {
    let scratch = Scratch()
    let entry = "{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}"
    let header = "{\"head.weight\":\(entry),\"head.weight\":\(entry)}"
    let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) }
    let path = scratch.write(length + header.utf8, as: "twice.safetensors")
    let error = failure { _ = try Checkpoint.open(path) }
    #expect(error?.kind == .badData && error?.message.contains("\"head.weight\"") == true)
  }

  /// Prisma-Multimodal/ViT-Prisma #91: a model of the user's own sizes is refused because its name is
  /// in no table; huggingface/pytorch-image-models #2061: without a network. Sizes are read from the
  /// tensors.
  @Test func modelsOfNoKnownNameAreTheirTensors() throws {
    let scratch = Scratch()
    let text = "vit(image=32,patch=8,dim=24,depth=2,heads=3,classes=7)"
    let loaded = try ModelLoader.random(Architecture(text), seed: 1)
    let weights = loaded.parameters.map { parameter in
      FeatureLayer(
        parameter.specification.name, parameter.specification.storedShape,
        parameter.tensor.withValues(Array.init))
    }
    let path = try featureFile(weights, in: scratch, as: "mine.safetensors")
    // The number of heads shows in no shape: it is asked for.
    let error = failure { _ = try ModelLoader.detect(Checkpoint.open(path)) }
    let found = try ModelLoader.load(Checkpoint.open(path), as: Architecture(text))
    #expect(found.architecture.text == loaded.architecture.text)
    if let error { #expect(error.message.contains("heads")) }
  }
}
