import ArgumentParser
import Models
import Reports
import StrictJSON
import Tensors
import VitProbe

/// `vitprobe models`
struct ModelsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "models",
    abstract: "The architectures and variants; with a name its taps, shapes, parameters and work.")

  @Argument(
    help: "A variant (vit_tiny_patch16_224), a family (vit), or a family with hyper-parameters.")
  var name: [String] = []

  @Option(help: ArgumentHelp("Side of the input in pixels.", valueName: "N"))
  var imageSize: Int?

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    if let imageSize, imageSize < 1 {
      throw ValidationError("--image-size \(imageSize): at least 1 is needed")
    }
    if let imageSize, name.isEmpty || name.count == 1 && ModelCatalogue.isFamily(name[0]) {
      let what = name.first.map { "the variants of \($0) have" } ?? "families have"
      throw ValidationError(
        "--image-size \(imageSize): \(what) sizes of their own; name a variant, or a family with "
          + "hyper-parameters such as vit(image=\(imageSize))")
    }
  }

  func run() throws {
    if name.isEmpty {
      print(ModelCatalogue.families)
    } else if let family = ModelCatalogue.variants(of: name[0]), name.count == 1 {
      print(family)
    } else if name.count == 1 {
      let details = try ModelCatalogue.Details(name[0], imageSize: imageSize)
      if json {
        Terminal.data(details.json.pretty)
      } else {
        let width = Terminal.width()
        Terminal.data("\(details.text)\n\n\(details.facts.plainText(width: width))\n")
        Terminal.data(details.taps.plainText(limit: 400, width: width))
      }
    } else {
      print(try ModelCatalogue.comparison(of: name, imageSize: imageSize))
    }
  }

  private func print(_ table: Table) {
    Terminal.data(json ? table.json.pretty : table.plainText(limit: 400, width: Terminal.width()))
  }
}
