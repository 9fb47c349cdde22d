import ArgumentParser
import TestSupport
import Testing

@testable import CommandLineTool

/// Libraries name settings as Swift programs do; the command names options.
@Suite struct SettingFlagsTests {
  private static let root =
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
    .joined(separator: "/") + "/Sources/"

  /// The Swift files of a folder and of those in it.
  private static func files(_ folder: String) -> [String] {
    Scratch.entries(folder).sorted().flatMap { name in
      name.hasSuffix(".swift")
        ? [folder + "/" + name] : name.contains(".") ? [] : files(folder + "/" + name)
    }
  }

  /// Lines that hold text and are no comment.
  private static func lines(_ folder: String) -> [(place: String, text: Substring)] {
    files(root + folder).flatMap { path in
      String(decoding: Scratch.read(path) ?? [], as: UTF8.self)
        .split(separator: "\n", omittingEmptySubsequences: false).enumerated()
        .filter { $1.contains("\"") && !$1.drop { $0 == " " }.hasPrefix("//") }
        .map { ("\(path.dropFirst(root.count)):\($0 + 1)", $1) }
    }
  }

  @Test(arguments: [
    "DurableFiles", "StrictJSON", "Tensors", "Checkpoints", "Images", "Models", "Reports",
    "Diagnostics", "VitProbe",
  ])
  func librariesNameSettingsAndNoOption(library: String) {
    let lines = Self.lines(library)
    #expect(!lines.isEmpty)
    for (place, text) in lines {
      // Slurm's is not ours.
      let own = text.replacing("--array", with: "")
      #expect(own.firstMatch(of: /--[a-z]/) == nil, "\(place): \(text)")
      for match in text.matches(of: /`([A-Za-z]+)`/) {
        #expect(SettingFlags.all[String(match.1)] != nil, "\(place): \(match.1)")
      }
    }
  }

  /// Every option of the table is one of some command.
  @Test func theOptionsExist() {
    let help = VitprobeCommand.configuration.subcommands.map {
      VitprobeCommand.helpMessage(for: $0)
    }.joined()
    for (setting, flag) in SettingFlags.all {
      #expect(help.contains(flag + " ") || help.contains(flag + "\n"), "\(setting): \(flag)")
    }
  }

  @Test func settingsBecomeOptions() {
    #expect(SettingFlags.naming("`layers` \"a`b\"") == "--layers \"a`b\"")
    #expect(SettingFlags.naming("`nobody`s `data`") == "`nobody`s --data")
    #expect(SettingFlags.naming("a ` b") == "a ` b")
    #expect(SettingFlags.naming("") == "")
  }
}
