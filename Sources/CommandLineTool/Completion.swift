import ArgumentParser
import Glibc
import Models
import VitProbe

/// What shells offer in the place of an argument.
enum Completion {
  /// `[LABEL=][ARCH@]SOURCE`: bundled checkpoints, files, and variants to be followed by a file.
  static let subjects = CompletionKind.custom { _, _, prefix in
    let label = prefix.prefix { $0 != "=" }
    let start = label.count < prefix.count ? label + "=" : ""
    let rest = String(prefix.dropFirst(start.count))
    let architecture = rest.prefix { $0 != "@" }
    guard architecture.count == rest.count else {
      let before = start + architecture + "@"
      return (files(String(rest.dropFirst(architecture.count + 1))) + ["random"])
        .map { before + $0 }
    }
    let names = BundledData.checkpoints.map { "demo:\($0)" } + variants.map { $0 + "@" }
    return (names.filter { $0.hasPrefix(rest) } + files(rest)).map { start + $0 }
  }

  /// Variants and families.
  static let models = CompletionKind.list(ModelRegistry.families.map { $0.family } + variants)

  /// Names separated by commas, each once.
  static func lists(of names: [String]) -> CompletionKind {
    .custom { _, _, prefix in
      let given = prefix.split(separator: ",", omittingEmptySubsequences: false).dropLast()
      let start = given.map { $0 + "," }.joined()
      return names.filter { !given.contains($0[...]) }.map { start + $0 }
    }
  }

  private static var variants: [String] { ModelRegistry.families.flatMap { $0.variantNames } }

  /// The files and folders that begin so.
  private static func files(_ prefix: String) -> [String] {
    let folder = prefix.lastIndex(of: "/").map { prefix[...$0] } ?? ""
    guard let listing = opendir(folder.isEmpty ? "." : String(folder)) else { return [] }
    defer { closedir(listing) }
    var found: [String] = []
    while let entry = readdir(listing) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      let path = folder + name
      guard !name.hasPrefix("."), path.hasPrefix(prefix) else { continue }
      found.append(path + (entry.pointee.d_type == DT_DIR ? "/" : ""))
    }
    return found.sorted()
  }
}
