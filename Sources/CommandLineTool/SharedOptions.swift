import ArgumentParser
import Diagnostics
import Glibc
import Images
import Models
import Reports
import Tensors
import VitProbe

extension TapOrdering: ExpressibleByArgument {}
extension BadImagePolicy: ExpressibleByArgument {}
extension ReportFormat: ExpressibleByArgument {}
extension ProductPrecision: ExpressibleByArgument {}

/// How much is said, and where results go; for every command that fills a folder.
struct FolderOptions: ParsableArguments {
  @Option(
    name: [.short, .long],
    help: ArgumentHelp(
      "Folder for the results (default: vitprobe-out/COMMAND); - streams the main CSV.",
      valueName: "DIR"), completion: .directory)
  var output: String?

  @Flag(
    name: .customLong("replace"),
    help: "Replace results of another command or of other settings in the output folder.")
  var restarts = false

  @Flag(help: "As --replace, and replace files in the output folder that no run wrote.")
  var force = false

  /// Whether results of other runs may be replaced.
  var replace: Bool { restarts || force }

  @Flag(help: "Print the summary as one JSON object.")
  var json = false

  @Flag(name: [.short, .long], help: "No remarks and no progress: results and errors alone.")
  var quiet = false

  @Flag(name: [.short, .long], help: "Say more.")
  var verbose = false

  @Flag(help: "Show no progress.")
  var noProgress = false

  func validate() throws {
    if quiet && verbose { throw ValidationError("-q and -v exclude each other") }
    if json, output == "-" {
      throw ValidationError("-o - streams a CSV and --json prints an object; give one of them")
    }
  }

  /// The folder of a command's results; `-` for the terminal.
  func path(for command: String) -> String { output ?? "vitprobe-out/" + command }

  /// Sets how much is said. What computing needs and this machine lacks is said before anything begins.
  func apply() throws {
    Terminal.configure(quiet ? .quiet : verbose ? .verbose : .normal)
    try OpenBLAS.load()
  }
}

/// As ``FolderOptions``, for commands whose results are tables and figures.
struct OutputOptions: ParsableArguments {
  @OptionGroup var folder: FolderOptions

  @Option(
    help: ArgumentHelp(
      "Files to write: csv, svg, pdf, png, vega; npz and vts of landscapes; separated by commas.",
      valueName: "LIST"))
  var format = "csv,svg"

  @OptionGroup var figures: FigureOptions

  /// What is missing for PDF and PNG is said before anything is computed.
  func validate() throws {
    do { _ = try formats.printer() } catch {
      throw ValidationError("--format \(format): \(error)")
    }
  }

  /// A stream has room for one table.
  ///
  /// - Throws: `ValidationError` for several analyses.
  static func requireOne(_ analyses: [String]) throws {
    guard analyses.count > 1 else { return }
    throw ValidationError(
      "-o - streams one table, and there would be those of \(analyses.joined(separator: ", ")); name a "
        + "folder, or one analysis")
  }

  var formats: ReportFormats {
    get throws {
      var formats: Set<ReportFormat> = []
      for part in format.split(separator: ",") {
        guard let one = ReportFormat(rawValue: String(part)) else {
          let known = ReportFormat.allCases.map(\.rawValue).joined(separator: ", ")
          throw ValidationError("--format \"\(part)\" is not one of \(known)")
        }
        formats.insert(one)
      }
      return ReportFormats(formats, setting: try figures.setting)
    }
  }

  /// What was asked for and bears on none of the results.
  func remarks(on reports: [Report]) throws -> [String] {
    let hasGrids = reports.contains { !$0.grids.isEmpty }
    let useless = try formats.kinds.filter { $0.isOfGrids && !hasGrids }.map(\.rawValue).sorted()
    return figures.remarks(on: reports.flatMap(\.figures))
      + useless.map { "--format \($0) is of values over a grid; none of the results is one" }
  }

  func path(for command: String) -> String { folder.path(for: command) }
  var restarts: Bool { folder.restarts }
  var replace: Bool { folder.replace }
  var force: Bool { folder.force }
  var json: Bool { folder.json }
  var noProgress: Bool { folder.noProgress }

  func apply() throws { try folder.apply() }
}

/// The layers that are looked at, and how those of feature files are laid out.
struct LayerOptions: ParsableArguments {
  @Option(
    help: "One entry a block (blocks), one a residual half-block (sequence), or every tap (all).")
  var taps: TapOrdering?

  @Option(
    help: ArgumentHelp(
      "Of those, only layers whose names match, as in 'blocks.*.attn_res'; !GLOB leaves out; repeatable.",
      valueName: "GLOB"))
  var layers: [String] = []

  @Option(
    help: ArgumentHelp(
      "Layout of maps in feature files, nchw (default) or nhwc; in an exported graph, of layers whose names match; repeatable.",
      valueName: "LAYOUT|GLOB=LAYOUT"))
  var layout: [String] = []

  @Option(
    help: ArgumentHelp(
      "Tokens before the grid's in feature files, and in graphs that do not show them.",
      valueName: "N"))
  var prefixTokens: Int?

  @Option(
    help: ArgumentHelp(
      "In an exported graph, the kind of layers whose names match, as in '*.mixer=msa'; repeatable.",
      valueName: "GLOB=KIND"))
  var kind: [String] = []

  @Option(
    help: ArgumentHelp(
      "In an exported graph, the modules that are its blocks; repeatable.", valueName: "GLOB"))
  var blocks: [String] = []

  func validate() throws {
    if let prefixTokens, prefixTokens < 0 {
      throw ValidationError("--prefix-tokens \(prefixTokens): at least 0 is needed")
    }
    for text in kind { _ = try kind(text) }
    _ = try layouts()
  }

  /// Of feature files, and of layers of a graph.
  private func layouts() throws -> (
    map: FeatureLayout.Map, layers: [GraphOverrides.Layout]
  ) {
    var (map, layers) = (FeatureLayout.Map.nchw, [GraphOverrides.Layout]())
    for text in layout {
      if let own = FeatureLayout.Map(rawValue: text) {
        map = own
      } else if let equals = text.lastIndex(of: "="), equals != text.startIndex,
        let axes = GraphOverrides.Layout.Axes(
          rawValue: String(text[text.index(after: equals)...]))
      {
        layers.append(GraphOverrides.Layout(pattern: String(text[..<equals]), axes: axes))
      } else {
        let known = GraphOverrides.Layout.Axes.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError(
          "--layout \"\(text)\" is neither nchw or nhwc nor GLOB=LAYOUT with a layout of \(known)")
      }
    }
    return (map, layers)
  }

  private func kind(_ text: String) throws -> GraphOverrides.Kind {
    guard let equals = text.lastIndex(of: "="), equals != text.startIndex,
      let kind = Tap.Kind(rawValue: String(text[text.index(after: equals)...]))
    else {
      let known = Tap.Kind.allCases.map(\.rawValue).joined(separator: ", ")
      throw ValidationError("--kind \"\(text)\" is not GLOB=KIND with a kind of \(known)")
    }
    return GraphOverrides.Kind(pattern: String(text[..<equals]), kind: kind)
  }

  func apply(to job: inout FeatureJob) {
    job.taps = TapSelection(ordering: taps, layers: layers)
    if let layouts = try? layouts() {
      job.features.map = layouts.map
      job.features.graph.layouts = layouts.layers
    }
    job.features.prefixTokens = prefixTokens
    job.features.graph.kinds = kind.compactMap { try? kind($0) }
    job.features.graph.blocks = blocks
  }
}

/// Images, minibatches and machine.
struct RunOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Images: a folder, IDX, CIFAR binary, .npy, .npz or .safetensors. Twice: the same on each.",
      valueName: "PATH"), completion: .file())
  var data: [String] = []

  @Option(
    help: ArgumentHelp("A file of labels where the data carry none.", valueName: "PATH"),
    completion: .file())
  var labels: String?

  @Option(
    help: ArgumentHelp(
      "Which output of a head a class is: class_index.json, or one name a line.", valueName: "FILE"),
    completion: .file())
  var classIndex: String?

  @Flag(help: "Outputs are the class folders in the order of their names, as torchvision trains.")
  var labelsAsSorted = false

  @Option(
    help: ArgumentHelp("Only the first N images, or N at random with --shuffle.", valueName: "N"))
  var limit: Int?

  @Flag(help: "Take the images in a random order (see --seed).")
  var shuffle = false

  @Option(help: ArgumentHelp("Images in a minibatch (default 64; hessian 16).", valueName: "N"))
  var batchSize: Int?

  @Option(help: ArgumentHelp("Threads (default: all processors).", valueName: "N"))
  var threads: Int?

  @Option(
    help: ArgumentHelp(
      "Products of the models: float32, bf16 (AVX512-BF16) or bf16-emulated (its values, slowly).",
      valueName: "NAME"))
  var compute = ProductPrecision.float32

  @Option(help: ArgumentHelp("Seed of everything random.", valueName: "N"))
  var seed: UInt64 = 0

  @Option(help: ArgumentHelp("Most memory to use, as in 4GiB.", valueName: "SIZE"))
  var maxMemory: String?

  @Flag(help: "Print the plan, memory and work, and stop.")
  var dryRun = false

  @Option(help: "What to do with an image that cannot be read: fail or skip.")
  var onBadImage = BadImagePolicy.fail

  @OptionGroup var weights: WeightsOptions

  @Option(help: ArgumentHelp("Side of the input in pixels.", valueName: "N"))
  var imageSize: Int?

  @Option(help: ArgumentHelp("Channel means in 0...1, as in 0.5,0.5,0.5.", valueName: "a,b,c"))
  var mean: String?

  @Option(help: ArgumentHelp("Channel standard deviations.", valueName: "a,b,c"))
  var std: String?

  @Option(
    help: ArgumentHelp(
      "Filter of the resize: nearest, box, bilinear, hamming, bicubic or lanczos.",
      valueName: "NAME"), completion: .list(Interpolation.allCases.map(\.rawValue)))
  var interpolation: String?

  @Option(
    name: .customLong("crop-pct"),
    help: ArgumentHelp("Fraction of the short edge that the crop keeps, in 0...1.", valueName: "F"))
  var cropFraction: Double?

  func validate() throws {
    if classIndex != nil && labelsAsSorted {
      throw ValidationError("--class-index and --labels-as-sorted exclude each other")
    }
    for (name, value) in [
      ("--limit", limit), ("--batch-size", batchSize), ("--threads", threads),
      ("--image-size", imageSize),
    ] {
      if let value, value < 1 { throw ValidationError("\(name) \(value): at least 1 is needed") }
    }
    for (place, path) in data.enumerated() where data[..<place].contains(path) {
      throw ValidationError("--data \(path) is there twice")
    }
    if let cropFraction, !(cropFraction > 0 && cropFraction <= 1) {
      throw ValidationError("--crop-pct \(cropFraction): a number above 0, at most 1, is needed")
    }
    for (name, text) in [("--mean", mean), ("--std", std)] {
      // A deviation of 0 divides by it.
      let least = name == "--std" ? Double.leastNormalMagnitude : 0
      if let wrong = try numbers(text, name)?.first(where: { !(least...1).contains($0) }) {
        throw ValidationError(
          "\(name) \(wrong): numbers "
            + (name == "--std" ? "above 0, at most 1," : "in 0...1")
            + " are needed, since samples are divided by 255 before")
      }
    }
    _ = try memory
  }

  private func numbers(_ text: String?, _ name: String) throws -> [Double]? {
    guard let text else { return nil }
    let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
    let numbers = parts.compactMap(\.self).filter(\.isFinite)
    guard numbers.count == parts.count, !numbers.isEmpty else {
      throw ValidationError(
        "\(name) \"\(text)\": expected one number, or one a channel, as in 0.5,0.5,0.5")
    }
    return numbers
  }

  /// The memory limit in bytes.
  var memory: Int? {
    get throws {
      try maxMemory.map { try byteCount($0, of: "--max-memory") }
    }
  }

  /// Ends a run that would need more memory than it may have.
  func checkMemory(_ estimate: RunEstimate) throws {
    guard let limit = try memory, let text = maxMemory, estimate.totalBytes > limit else { return }
    let least =
      estimate.totalBytes - estimate.workers * (estimate.passBytes + estimate.analysisBytes)
    let advice =
      text.allSatisfy(\.isNumber)
      ? "a number without a unit is of bytes, as in 4GiB with one"
      : limit <= least
        ? "the program and the parameters alone need \(mebibytes(least))"
        : "a smaller --batch-size needs less"
    throw VitProbeError(
      .usage,
      "the run needs about \(mebibytes(estimate.totalBytes)), more than --max-memory \(text); \(advice)"
    )
  }

  /// The data sets in the order given; the bundled images if there are none.
  var dataArguments: [DataArgument] {
    let seed = shuffle ? seed : nil
    let paths: [String?] = data.isEmpty ? [nil] : data
    return paths.map { path in
      var data = DataArgument(path: path, labels: labels, limit: limit, shuffleSeed: seed)
      data.classIndex = classIndex
      data.labelsAreSorted = labelsAsSorted
      return data
    }
  }

  /// A job with these options.
  func job(
    _ subjects: [String], analyses: [any Analyzer], layers: LayerOptions? = nil,
    defaultBatch: Int = 64
  ) throws -> FeatureJob {
    if let threads { Threads.configure(count: threads) }
    var job = FeatureJob(
      arguments: Array(CommandLine.arguments.dropFirst()),
      subjects: try subjects.map { text throws(VitProbeError) in
        var subject = try SubjectArgument(text)
        subject.weights = weights.selection
        return subject
      },
      data: dataArguments, analyses: analyses)
    layers?.apply(to: &job)
    job.options.batchSize = batchSize ?? defaultBatch
    job.options.badImages = onBadImage
    job.options.maximumMemory = try memory
    job.preprocessing.imageSize = imageSize
    job.preprocessing.mean = try numbers(mean, "--mean")
    job.preprocessing.std = try numbers(std, "--std")
    job.preprocessing.interpolation = interpolation
    job.preprocessing.cropFraction = cropFraction
    job.seed = seed
    job.precision = compute
    return job
  }
}

/// A size as people write it, in bytes.
func byteCount(_ text: String, of option: String) throws -> Int {
  let digits = text.prefix { $0.isNumber || $0 == "." }
  let units: [String: Double] = [
    "": 1, "B": 1, "K": 0x1p10, "KIB": 0x1p10, "KB": 1e3, "M": 0x1p20, "MIB": 0x1p20, "MB": 1e6,
    "G": 0x1p30, "GIB": 0x1p30, "GB": 1e9,
  ]
  let unit = units[text.dropFirst(digits.count).uppercased()]
  guard let number = Double(digits), let unit, number > 0, number * unit < 0x1p62 else {
    throw ValidationError("\(option) \"\(text)\": expected a size, as in 4GiB or 800MB")
  }
  return Int(number * unit)
}

/// A size for people.
func mebibytes(_ bytes: Int) -> String {
  bytes > Int.max - 524_288 ? "more memory than there is" : "\((bytes + 524_288) >> 20) MiB"
}
