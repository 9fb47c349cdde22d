import ArgumentParser
import VitProbe

/// What becomes of running statistics, as a user says it.
enum StatisticsRule: String, ExpressibleByArgument, CaseIterable {
  case interpolate, recompute
}

/// Which weights move, and on what the loss is looked at, as a user gives it.
struct WeightMoveOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Minibatches, from the first (default: all).", valueName: "N"))
  var batches: Int?

  @Option(
    help: ArgumentHelp(
      "Only tensors whose names match move ('*': all); !GLOB leaves out. By default those of two axes or more in random directions, and every one elsewhere.",
      valueName: "GLOB"))
  var params: [String] = []

  @Option(
    help: ArgumentHelp(
      "Running statistics: recompute (estimated anew at each place), or interpolate, on the way to a checkpoint (default there; elsewhere they stand still).",
      valueName: "RULE"))
  var batchnorm: StatisticsRule?

  func validate() throws {
    if let batches, batches < 1 {
      throw ValidationError("--batches \(batches): at least 1 is needed")
    }
  }

  /// Makes sure that statistics have two ends to be interpolated between.
  func requireWay(_ exists: Bool) throws {
    guard exists || batchnorm != .interpolate else {
      throw ValidationError(
        "--batchnorm interpolate is of the way to a checkpoint (landscape --to SUBJECT); give recompute"
      )
    }
  }

  /// The images that running statistics are estimated anew on; nil where they are not.
  var statistics: @Sendable (FeatureJob) throws -> StatisticsImages? {
    let (batches, recomputes) = (batches, batchnorm == .recompute)
    return { recomputes ? try $0.statisticsImages(batchLimit: batches) : nil }
  }
}
