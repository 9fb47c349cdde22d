/// The option by which each setting is given. Messages of the libraries name a setting as Swift programs
/// do, between backticks; what a user of the command reads names the option.
enum SettingFlags {
  static let all: [String: String] = [
    "allowsPartial": "--allow-partial",
    "batchLimit": "--batches",
    "batchSize": "--batch-size",
    "blocks": "--blocks",
    "buildUp": "--build-up",
    "classIndex": "--class-index",
    "cropFraction": "--crop-pct",
    "data": "--data",
    "direction": "--norm",
    "entry": "--entry",
    "force": "--force",
    "heads": "--heads",
    "ignored": "--ignore-tensors",
    "imageSize": "--image-size",
    "interpolation": "--interpolation",
    "keptBytes": "--keep",
    "kinds": "--kind",
    "labels": "--labels",
    "labelsAreSorted": "--labels-as-sorted",
    "layers": "--layers",
    "layouts": "--layout",
    "limit": "--limit",
    "mapSize": "--map-size",
    "maximumIterations": "--max-iter",
    "mean": "--mean",
    "ordering": "--taps",
    "parameters": "--params",
    "prefix": "--prefix",
    "prefixTokens": "--prefix-tokens",
    "replace": "--replace",
    "scope": "--scope",
    "shard": "--shard",
    "std": "--std",
    "steps": "--steps",
    "tolerance": "--tol",
  ]

  /// A message of the libraries with options in the place of settings.
  static func naming(_ message: String) -> String {
    var text = ""
    var rest = message[...]
    while let start = rest.firstIndex(of: "`") {
      text += rest[..<start]
      let inner = rest[rest.index(after: start)...]
      if let end = inner.firstIndex(of: "`"), let flag = all[String(inner[..<end])] {
        text += flag
        rest = inner[inner.index(after: end)...]
      } else {
        text += "`"
        rest = inner
      }
    }
    return text + rest
  }
}
