import Checkpoints
import StrictJSON
import Tensors

/// Finds out what weights are of, and builds the model.
public enum ModelLoader {
  /// Builds the model of a checkpoint.
  ///
  /// - Parameters:
  ///   - checkpoint: an opened file or folder.
  ///   - architecture: what it is of; found from the weights if nil.
  ///   - imageSize: the side of the input images, if another than the architecture's.
  ///   - selection: what is said of the weights where the file holds more than those of a network.
  /// - Throws: ``ModelError`` for weights of no known family or of another one than was asked for,
  ///   for missing tensors, and for what has to be said and was not.
  public static func load(
    _ checkpoint: Checkpoint, as architecture: Architecture? = nil, imageSize: Int? = nil,
    selection: WeightsSelection = WeightsSelection()
  ) throws(ModelError) -> LoadedModel {
    do throws(ModelError) {
      let found = try NetworkSearch.find(in: checkpoint, selection)
      return try load(found.family, found, architecture, imageSize)
    } catch {
      throw error.inFile(checkpoint.path)
    }
  }

  /// What the weights of a checkpoint are of, as far as names and shapes tell.
  ///
  /// - Throws: ``ModelError`` as ``load(_:as:imageSize:selection:)``.
  public static func detect(_ checkpoint: Checkpoint) throws(ModelError) -> Architecture {
    do throws(ModelError) {
      let found = try NetworkSearch.find(in: checkpoint, WeightsSelection())
      return try resolve(found.family, found.view, nil).architecture
    } catch {
      throw error.inFile(checkpoint.path)
    }
  }

  /// An untrained model.
  ///
  /// - Throws: ``ModelError`` if the architecture makes no network.
  public static func random(
    _ architecture: Architecture, seed: UInt64, imageSize: Int? = nil
  ) throws(ModelError) -> LoadedModel {
    var configuration = architecture.configuration
    if let imageSize { configuration.imageSize = Extents(imageSize) }
    try configuration.validate()
    let source = CollectedParameters(RandomParameters(seed: seed))
    let model = try build(configuration, source, naming: { $0 })
    var preprocessing = architecture.preprocessing
    preprocessing.size = configuration.imageSize
    return LoadedModel(
      model: model,
      architecture: Architecture(
        configuration, variant: architecture.variant, preprocessing: preprocessing, given: []),
      preprocessing: preprocessing, parameters: source.collected,
      report: LoadReport(
        source: "random:\(seed)", family: architecture.family, architecture: configuration.text,
        variant: architecture.variant, keyMapping: "none", matched: source.collected.count))
  }

  // MARK: Architecture

  private struct Resolution {
    var architecture: Architecture
    var candidates: [String]
    var provenance: [ParameterProvenance]
    var warnings: [String]
  }

  /// The architecture from what was asked for, from settings beside the weights, and from shapes.
  private static func resolve<Configuration: ModelConfiguration>(
    _ family: Configuration.Type, _ view: WeightsView, _ asked: Architecture?
  ) throws(ModelError) -> Resolution {
    var warnings = [family.doubts(view)].compactMap { $0 }
    let told = DeclaredArchitecture(view.contents.checkpoint)
    if let told, told.architecture == nil {
      guard asked != nil else { throw told.unknown }
      warnings.append("\(told.place) is \"\(told.name)\", which is not known; taken as asked for")
    }
    var declared = asked ?? told?.architecture
    if let asked, let own = asked.configuration as? Configuration, let told,
      let theirs = told.architecture?.configuration as? Configuration
    {
      declared = Architecture(
        try own.completed(
          by: theirs, given: asked.given, named: asked.variant, declaredAs: told.name),
        variant: asked.variant, preprocessing: asked.preprocessing, given: asked.given)
    }
    let origin = asked == nil ? "its own settings say" : "was asked for"
    if let declared, !(declared.configuration is Configuration) {
      throw ModelError(
        .conflict, found: "weights of the family \(family.family) (\(view.keyMapping.name) names)",
        expected: "\(declared.variant ?? declared.text), as \(origin)")
    }
    let fitting = variants(of: family, fitting: view)
    let own = trainedName(view.contents.checkpoint).flatMap { name in
      fitting.first { $0.name == name }
    }
    let closest = own ?? fitting.first
    let base = declared?.configuration as? Configuration
    var found = try family.detect(view, base: base ?? closest?.configuration)
    var settled: Set<String> = []
    if asked != nil { settled = try found.read(settingsOf: view) }
    if let declared, let base {
      let wrong = found.differences(from: base) {
        $0.origin != .declaration && declared.given.contains($0.name)
      }
      guard wrong.isEmpty else {
        throw ModelError(
          .conflict, found: wrong.map { "\($0.name)=\($0.own)" }.joined(separator: ", "),
          expected: wrong.map { "\($0.name)=\($0.other)" }.joined(separator: ", ")
            + ", as \(declared.variant ?? declared.text), which \(origin), has it",
          advice: "The weights are of \(found.text)")
      }
      for parameter in family.parameters
      where parameter.origin == .declaration && declared.given.contains(parameter.name) {
        parameter.copy(base, &found)
      }
    }
    if asked == nil { settled = try found.read(settingsOf: view) }
    try found.validate()
    let named = declared?.variant ?? (declared == nil ? closest?.name : nil)
    let defaults = declared?.variant != nil ? declared?.preprocessing : closest?.preprocessing
    let statistics = Set(fitting.map { "\($0.preprocessing.mean) \($0.preprocessing.std)" })
    if declared == nil, own == nil, statistics.count > 1,
      try Preprocessing(of: view.contents.checkpoint, fallback: found.preprocessing) == nil
    {
      warnings.append(
        "the weights fit \(fitting.map(\.name).joined(separator: ", ")), whose images are "
          + "normalised differently; that of \(fitting[0].name) is used: name the architecture, or "
          + "give mean and standard deviation")
    }
    let provenance = family.parameters.map { parameter in
      let source: ParameterProvenance.Source
      if let asked, asked.given.contains(parameter.name) {
        source = .given
      } else if settled.contains(parameter.name) {
        source = .settings
      } else if parameter.origin != .declaration {
        source = .weights
      } else if asked?.variant != nil {
        source = .given
      } else if asked == nil, told != nil || own != nil {
        source = .settings
      } else {
        source = .assumed
      }
      return ParameterProvenance(
        parameter: parameter.name, value: parameter.text(found), source: source)
    }
    return Resolution(
      architecture: Architecture(
        found, variant: named, preprocessing: defaults ?? found.preprocessing, given: []),
      candidates: fitting.map(\.name), provenance: provenance, warnings: warnings)
  }

  /// The named variants that weights fit, without those that fit less closely (in the number of
  /// classes or the grid of position embeddings) than others.
  private static func variants<Configuration: ModelConfiguration>(
    of family: Configuration.Type, fitting view: WeightsView
  ) -> [ModelVariant<Configuration>] {
    let fitting = family.variants.compactMap { variant -> (ModelVariant<Configuration>, Int)? in
      guard let found = try? family.detect(view, base: variant.configuration),
        found.differences(from: variant.configuration, among: { $0.origin == .weights }).isEmpty
      else { return nil }
      let adapted = found.differences(from: variant.configuration) { $0.origin == .adaptable }
      return (variant, adapted.count)
    }
    let least = fitting.map(\.1).min()
    return fitting.filter { $0.1 == least }.map(\.0)
  }

  /// The name that a training script left beside the weights: `arch` of timm's and of PyTorch's
  /// ImageNet example, `args.model` of DeiT's; without the tag of timm's pretrained weights. It
  /// chooses among variants that fit, and says nothing else.
  private static func trainedName(_ checkpoint: Checkpoint) -> String? {
    let told = checkpoint.metadata["arch"] ?? checkpoint.metadata["args.model"]
    return told?.split(separator: ".").first.map(String.init)
  }

  // MARK: Building

  private static func load<Configuration: ModelConfiguration>(
    _ family: Configuration.Type, _ found: NetworkSearch.Found, _ asked: Architecture?,
    _ imageSize: Int?
  ) throws(ModelError) -> LoadedModel {
    let view = found.view
    let resolution = try resolve(family, view, asked)
    var configuration = resolution.architecture.configuration
    let checkpoint = view.contents.checkpoint
    let own = try Preprocessing(of: checkpoint, fallback: resolution.architecture.preprocessing)
    var preprocessing = own ?? resolution.architecture.preprocessing
    if own == nil { preprocessing.size = configuration.imageSize }
    if let imageSize { preprocessing.size = Extents(imageSize) }
    configuration.imageSize = preprocessing.size
    try configuration.validate()

    let parameters = CheckpointParameters(view)
    let source = CollectedParameters(parameters)
    let model = try build(configuration, source, naming: view.foreignName)
    var report = LoadReport(
      source: checkpoint.path, family: family.family, architecture: configuration.text,
      variant: resolution.architecture.variant, candidates: resolution.candidates,
      keyMapping: view.keyMapping.name, prefix: view.prefix, provenance: resolution.provenance,
      warnings: resolution.warnings)
    report.entry = checkpoint.torch?.wrappers.joined(separator: "/") ?? ""
    report.usesEMA =
      checkpoint.torch?.entry?.kind == .averaged
      || EntryKind(view.prefix.split(separator: ".").map(String.init)) == .averaged
    report.ignoredOnRequest = view.contents.ignored
    report.warnings += checkpoint.notes + found.notes
    if let layer = view.headLayer {
      report.warnings.append(
        "the head is \(layer), the one linear layer of a list; layers without parameters beside it "
          + "are taken for dropout")
    }
    try TensorAccount(parameters.usedNames, view, others: found.others).write(to: &report)
    if report.ignored.contains(where: { $0.contains("pre_logits.") }) {
      report.warnings.append(
        "the layer pre_logits of older timm files is left out, as timm does: features are the same, "
          + "logits are not those of the original model")
    }
    return LoadedModel(
      model: model,
      architecture: Architecture(
        configuration, variant: resolution.architecture.variant, preprocessing: preprocessing,
        given: []),
      preprocessing: preprocessing, parameters: source.collected, report: report)
  }

  private static func build(
    _ configuration: any ModelConfiguration, _ source: CollectedParameters,
    naming: (String) -> String
  ) throws(ModelError) -> any VisionModel {
    do throws(ParameterError) {
      return try configuration.makeModel(Scope(source))
    } catch {
      switch error {
      case .missing(let name, let shape):
        throw ModelError(
          .missing, place: "tensor \"\(naming(name))\"", found: "no such tensor",
          expected: "one of shape \(shape) for \(configuration.text)",
          advice: "If the weights are of another architecture, name it before the file: ARCH@FILE")
      case .shape(let name, let expected, let found):
        throw ModelError(
          .unreadable, place: "tensor \"\(naming(name))\"", found: "shape \(found)",
          expected: "\(expected) for \(configuration.text)")
      case .unreadable(let name, let reason):
        throw ModelError(.unreadable, place: "tensor \"\(name)\"", found: reason)
      }
    }
  }
}
