import Checkpoints
import StrictJSON

extension Preprocessing {
  /// What a checkpoint says about itself: `preprocessing` of our own metadata, `pretrained_cfg` of
  /// timm's `config.json`, or `preprocessor_config.json`; nil if it says nothing.
  ///
  /// - Parameters:
  ///   - fallback: for what the settings leave out.
  /// - Throws: ``ModelError`` that names file, key and value for a setting that is not known or not
  ///   implemented.
  public init?(of checkpoint: Checkpoint, fallback: Preprocessing) throws(ModelError) {
    let config = checkpoint.config
    if let text = checkpoint.metadata["preprocessing"] {
      let limits = JSONLimits(bytes: 1 << 20)
      guard let json = try? JSONValue(parsing: Array(text.utf8), limits: limits),
        json.objectValue != nil
      else {
        throw ModelError(
          .unexpected, place: "metadata: preprocessing", found: String(text.prefix(80)),
          expected: "a JSON object")
      }
      let reader = SettingsReader(json, place: "metadata: preprocessing")
      try self.init(timm: reader, absent: fallback)
    } else if let json = config?["pretrained_cfg"], Self.isTimm(json) {
      let reader = SettingsReader(json, place: "config.json: pretrained_cfg")
      try self.init(timm: reader, absent: Self.timm(fallback))
    } else if let json = checkpoint.preprocessorConfig {
      if let timm = json["pretrained_cfg"] {
        // What transformers writes for a model of timm.
        let reader = SettingsReader(timm, place: "preprocessor_config.json: pretrained_cfg")
        try self.init(timm: reader, absent: Self.timm(fallback))
      } else {
        try self.init(
          processor: SettingsReader(json, place: "preprocessor_config.json"),
          modelType: config?["model_type"]?.stringValue, fallback: fallback)
      }
    } else if let config, Self.isTimm(config) {
      // Older files of timm have its keys at the top.
      let own = (config.objectValue ?? []).filter { Self.timmKeys.contains($0.name) }
      let reader = SettingsReader(.object(own), place: "config.json")
      try self.init(timm: reader, absent: Self.timm(fallback))
    } else {
      return nil
    }
  }

  // MARK: timm

  /// Keys of timm's `pretrained_cfg` that say how images are prepared.
  private static let timmKeys: Set = [
    "input_size", "crop_pct", "crop_mode", "interpolation", "mean", "std",
  ]

  /// The other keys of timm's `pretrained_cfg`: where the weights came from, what they were trained on,
  /// and how they are adapted to another head.
  static let timmHarmless: Set = [
    "architecture", "classifier", "custom_load", "description", "file", "first_conv",
    "fixed_input_size", "hf_hub_filename", "hf_hub_id", "label_descriptions", "label_names",
    "label_offset", "license", "min_input_size", "notes", "num_classes", "origin_url", "paper_ids",
    "paper_name", "pool_size", "source", "state_dict", "tag", "test_crop_pct", "test_input_size",
    "test_pool_size", "url",
  ]

  /// All keys of timm's `pretrained_cfg`.
  static let pretrainedKeys = timmKeys.union(timmHarmless)

  private static func isTimm(_ json: JSONValue) -> Bool {
    json.objectValue?.contains { timmKeys.contains($0.name) } ?? false
  }

  /// timm's defaults of what `pretrained_cfg` leaves out.
  private static func timm(_ fallback: Preprocessing) -> Preprocessing {
    var result = imageNet(fallback.size.side, crop: 0.875)
    result.size = fallback.size
    if fallback.channels != 3 { (result.mean, result.std) = (fallback.mean, fallback.std) }
    return result
  }

  private init(timm reader: SettingsReader, absent: Preprocessing) throws(ModelError) {
    var reader = reader
    self = absent
    let own = try reader.value(
      "input_size", "channels, height and width of 1 to 16384"
    ) { json -> Extents? in
      guard let numbers = json.arrayValue?.compactMap(\.intValue), numbers.count == 3,
        numbers.dropFirst().allSatisfy((1...16384).contains)
      else { return nil }
      return Extents(height: numbers[1], width: numbers[2])
    }
    if let own { size = own }
    let fraction = try reader.number("crop_pct", in: 0.01...100)
    let mode = try reader.word(
      "crop_mode",
      [("center", 0), ("squash", 1), ("border", 2), ("none", 3)])
    if fraction != nil || mode != nil {
      var own = 0.875
      if let fraction {
        own = fraction
      } else if case .cropFraction(let usual) = resize {
        own = usual
      }
      switch mode {
      case 1: resize = own == 1 ? .squash : .squashFraction(own)
      case 2: resize = .border(own)
      case 3: resize = .none
      default: resize = .cropFraction(own)
      }
    }
    interpolation =
      try reader.word("interpolation", Interpolation.allCases.map { ($0.rawValue, $0) })
      ?? interpolation
    try readStatistics(&reader, mean: "mean", std: "std")
    try reader.finish(harmless: Self.timmHarmless)
  }

  // MARK: Hugging Face

  /// An image processor of transformers: what it does where its file is silent.
  private struct Processor {
    /// The edge, and whether a single number means a square (else the short edge).
    var size = (edge: 224, isSquare: true)
    /// Side of the centre crop; nil if it does none.
    var crop: Int?
    var interpolation = Interpolation.bicubic
    var statistics = ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
    /// Whether its size is one that a crop of a fraction leaves (`crop_pct`).
    var crops = false

    /// By its class, without the endings `ImageProcessor`, `FeatureExtractor`, `Fast`.
    static let named: [String: Processor] = [
      "ViT": Processor(interpolation: .bilinear),
      "DeiT": Processor(size: (256, true), crop: 224),
      "Bit": Processor(size: (224, false), crop: 224, statistics: (clipMean, clipStd)),
      "CLIP": Processor(size: (224, false), crop: 224, statistics: (clipMean, clipStd)),
      "ConvNext": Processor(size: (384, false), crops: true),
      "Siglip": Processor(),
      "Beit": Processor(),
    ]

    /// By `model_type`, for files that do not name the class.
    static let ofModels = [
      "vit": "ViT", "vit_mae": "ViT", "vit_msn": "ViT", "swin": "ViT", "deit": "DeiT",
      "dinov2": "Bit", "dinov2_with_registers": "Bit", "clip_vision_model": "CLIP",
      "clip": "CLIP", "resnet": "ConvNext", "siglip_vision_model": "Siglip", "beit": "Beit",
    ]
  }

  /// Keys of processors that do not bear on the numbers.
  private static let processorHarmless: Set = [
    "_processor_class", "_valid_processor_keys", "_valid_kwargs_names", "data_format",
    "default_to_square", "device", "disable_grouping", "do_convert_rgb",
    "feature_extractor_type", "image_processor_type", "input_data_format", "processor_class",
    "return_tensors", "size_divisor", "do_reduce_labels", "reduce_labels", "auto_map", "backend",
  ]

  private init(
    processor reader: SettingsReader, modelType: String?, fallback: Preprocessing
  ) throws(ModelError) {
    var reader = reader
    self = fallback
    cropsDown = true
    let processor = try Self.processor(&reader, modelType)

    // Size and crop.
    let resizes = try reader.flag("do_resize") ?? true
    let crops = try reader.flag("do_center_crop") ?? (processor.crop != nil)
    let fraction = try reader.number("crop_pct", in: 0.01...100)
    let isSquare = try reader.flag("default_to_square") ?? processor.size.isSquare
    let given = try reader.value("size", Self.sizeExpectation) { Self.side($0, isSquare) }
    let (edge, squashes) = given ?? processor.size
    let crop = try reader.value("crop_size", "an integer, or height and width that are equal") {
      json in Self.side(json, true).flatMap { $0.isSquare ? $0.edge : nil }
    }
    let cropped = crop ?? processor.crop ?? 224
    if crops {
      size = Extents(cropped)
      resize = !resizes ? .crop : squashes ? .squashTo(edge) : .shortEdge(edge)
    } else if !resizes {
      resize = .none
    } else if processor.crops || fraction != nil {
      size = Extents(edge)
      resize = edge < 384 ? .cropFraction(fraction ?? 0.875) : .squash
    } else if squashes {
      size = Extents(edge)
      resize = .squash
    } else {
      throw ModelError(
        .unexpected, place: "\(reader.place): size",
        found: "a short edge of \(edge) without a crop",
        expected: "do_center_crop, or height and width",
        advice: "Images would come out in their own aspects; the network takes squares")
    }
    for key in ["do_pad", "do_flip_channel_order", "do_thumbnail", "do_splitting"] {
      _ = try reader.value(key, "false: no such step is implemented") { $0 == false ? true : nil }
    }

    // Values.
    let filters: [Interpolation] = [.nearest, .lanczos, .bilinear, .bicubic, .box, .hamming]
    interpolation =
      try reader.value("resample", "a filter of Pillow, 0 to 5") { json in
        json.intValue.flatMap { filters.indices.contains($0) ? filters[$0] : nil }
      } ?? processor.interpolation
    (mean, std) = processor.statistics
    if fallback.channels != 3 {
      mean = [Double](repeating: mean[0], count: fallback.channels)
      std = [Double](repeating: std[0], count: fallback.channels)
    }
    try readStatistics(&reader, mean: "image_mean", std: "image_std")
    let rescales = try reader.flag("do_rescale") ?? true
    let factor = try reader.number("rescale_factor", in: 1e-6...1e6) ?? 1 / 255
    if try reader.flag("do_normalize") == false {
      (mean, std) = (mean.map { _ in 0 }, std.map { _ in 1 })
    }
    // Values v of 0...255 times a factor, where v / 255 is what is normalised here.
    let scale = 255 * (rescales ? factor : 1)
    if abs(scale - 1) > 1e-9 { (mean, std) = (mean.map { $0 / scale }, std.map { $0 / scale }) }
    try reader.finish(harmless: Self.processorHarmless)
  }

  /// The processor that a file names, or else the one of its network.
  private static func processor(
    _ reader: inout SettingsReader, _ modelType: String?
  ) throws(ModelError) -> Processor {
    let key =
      reader.has("image_processor_type") ? "image_processor_type" : "feature_extractor_type"
    if let json = reader.value(key) {
      var name = json.stringValue ?? ""
      for ending in ["Fast", "Pil", "ImageProcessor", "FeatureExtractor"]
      where name.hasSuffix(ending) {
        name = String(name.dropLast(ending.count))
      }
      guard let processor = Processor.named[name] else {
        let known = Processor.named.keys.sorted().map { $0 + "ImageProcessor" }
        throw reader.refusal(
          key, json, expected: "one of " + known.joined(separator: ", "),
          advice: "What it does with images is not known here: prepare them with it, and give an "
            + "array of its results")
      }
      return processor
    }
    if let processor = modelType.flatMap({ Processor.ofModels[$0] }).flatMap({
      Processor.named[$0]
    }) {
      return processor
    }
    if reader.has("size"), reader.has("image_mean"), reader.has("image_std") {
      return Processor(interpolation: .bilinear)
    }
    throw ModelError(
      .unexpected, place: reader.place, found: "no image_processor_type",
      expected: "one, or size, image_mean and image_std",
      advice: "What the file leaves out depends on it")
  }

  private static let sizeExpectation =
    "an integer, shortest_edge, or height and width that are equal, of 1 to 16384"

  /// A `size` as an edge, and whether it is the side of a square (else the short edge).
  private static func side(_ json: JSONValue, _ isSquare: Bool) -> (edge: Int, isSquare: Bool)? {
    let sides = 1...16384
    func valid(_ edge: Int?, _ isSquare: Bool) -> (edge: Int, isSquare: Bool)? {
      edge.flatMap { sides.contains($0) ? ($0, isSquare) : nil }
    }
    if let edge = json.intValue { return valid(edge, isSquare) }
    if let pair = json.arrayValue {
      return pair.count == 2 && pair[0] == pair[1] ? valid(pair[0].intValue, true) : nil
    }
    let members = (json.objectValue ?? []).filter { $0.value != .null }
    switch Set(members.map(\.name)) {
    case ["shortest_edge"]: return valid(members[0].value.intValue, false)
    case ["height", "width"]:
      return members[0].value == members[1].value ? valid(members[0].value.intValue, true) : nil
    default: return nil
    }
  }

  /// The means and deviations of OpenAI's CLIP.
  static let clipMean = [0.48145466, 0.4578275, 0.40821073]
  static let clipStd = [0.26862954, 0.26130258, 0.27577711]

  // MARK: Means and deviations

  /// Lists of one number a channel, or one number for all channels.
  private mutating func readStatistics(
    _ reader: inout SettingsReader, mean meanKey: String, std stdKey: String
  ) throws(ModelError) {
    let lists = [meanKey, stdKey].compactMap { reader.value($0)?.arrayValue?.count }
    let count = min(max(lists.first ?? channels, 1), 64)
    func spread(_ value: Double) -> [Double] { [Double](repeating: value, count: count) }
    func read(
      _ key: String, absent: [Double], _ expected: String, _ isValid: (Double) -> Bool
    ) throws(ModelError) -> [Double] {
      let own = try reader.value(key, expected) { json -> [Double]? in
        let values =
          json.doubleValue.map(spread) ?? json.arrayValue?.compactMap(\.doubleValue) ?? []
        let isWhole = json.arrayValue.map { $0.count == count } ?? true
        return isWhole && values.count == count && values.allSatisfy { $0.isFinite && isValid($0) }
          ? values : nil
      }
      return own ?? (absent.count == count ? absent : spread(absent[0]))
    }
    mean = try read(meanKey, absent: mean, "a number, or \(count)") { _ in true }
    std = try read(stdKey, absent: std, "a positive number, or \(count)") { $0 > 0 }
  }
}
