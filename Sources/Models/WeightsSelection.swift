import Checkpoints

/// What a user says of the weights in a file where it holds more than those of one network.
public struct WeightsSelection: Sendable, Hashable {
  /// Which dictionary of tensors of a training file is taken.
  public var entry = CheckpointEntry.automatic
  /// The prefix under which the network stands; found if nil.
  public var prefix: String?
  /// Patterns (`*` stands for any text) of tensors that are treated as if they were not in the file.
  public var ignored: [String] = []

  /// Nothing said: what is likeliest is found.
  public init() {}

  /// The prefix as names carry it: with a point at its end.
  var dottedPrefix: String? {
    prefix.map { $0.isEmpty || $0.hasSuffix(".") ? $0 : $0 + "." }
  }
}
