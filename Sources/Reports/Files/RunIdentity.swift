import StrictJSON

/// Which run a folder's results are of: the command, and everything that its results depend on.
public struct RunIdentity: Sendable, Equatable {
  /// The command: `cka`.
  public var command: String
  /// SHA-256 of all settings and inputs that results depend on.
  public var settingsSHA256: String
  /// The share of a run that several processes carry out, `2/5`; nil for a whole one.
  public var shard: String?

  /// Makes one from its parts; see the properties.
  public init(command: String, settingsSHA256: String, shard: String? = nil) {
    self.command = command
    self.settingsSHA256 = settingsSHA256
    self.shard = shard
  }

  /// Reads what ``json`` wrote; nil for anything else.
  init?(_ json: JSONValue) {
    guard let command = json["command"]?.stringValue,
      let settings = json["settings_sha256"]?.stringValue
    else { return nil }
    self.init(command: command, settingsSHA256: settings, shard: json["shard"]?.stringValue)
  }

  var json: JSONValue {
    [
      "command": .string(command), "settings_sha256": .string(settingsSHA256),
      "shard": shard.map(JSONValue.string) ?? .null,
    ]
  }

  /// The run for a reader.
  var text: String { "vitprobe \(command)" + (shard.map { ", shard \($0)" } ?? "") }

  /// Whether both are the same run, or parts of it.
  func isOfSameRun(as other: RunIdentity) -> Bool {
    command == other.command && settingsSHA256 == other.settingsSHA256
      && (shard == nil) == (other.shard == nil)
  }
}
