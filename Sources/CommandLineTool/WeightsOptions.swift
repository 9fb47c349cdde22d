import ArgumentParser
import Checkpoints
import Models

/// Which of the tensors of a file are a network's; for every command that opens a checkpoint.
struct WeightsOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Which dictionary of tensors of a training file, as in teacher or model/student.",
      valueName: "KEY"))
  var entry: String?

  @Option(
    help: ArgumentHelp(
      "Where the network stands in the names of tensors, as in encoder_q.", valueName: "P"))
  var prefix: String?

  @Option(
    help: ArgumentHelp(
      "Treat tensors as if they were not in the file (* for any text); repeatable.",
      valueName: "GLOB"))
  var ignoreTensors: [String] = []

  /// What was said.
  var selection: WeightsSelection {
    var selection = WeightsSelection()
    if let entry { selection.entry = .named(entry) }
    selection.prefix = prefix
    selection.ignored = ignoreTensors
    return selection
  }
}
