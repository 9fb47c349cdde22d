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
    abstract: "The architectures and variants; with a name its taps, shapes, parameters and work.",
    discussion: HelpText.examples([
      .init("models", "all families and the names of their variants"),
      .init("models resnet50", "one of them: parameters, work, and the names of its layers"),
      .init("models 'vit(image=32,patch=4,dim=192,depth=12,heads=3)'", "one that has no name"),
      .init("models resnet50 deit_tiny_patch16_224", "two side by side"),
    ]))

  @Argument(
    help: "A variant (vit_tiny_patch16_224), a family (vit), or a family with hyper-parameters.",
    completion: Completion.models)
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
      guard !json else { return Terminal.json([.init("families", ModelCatalogue.json)]) }
      print(ModelCatalogue.families)
      Terminal.data("\n")
      print(ModelCatalogue.variantNames)
    } else if let family = ModelCatalogue.variants(of: name[0]), name.count == 1 {
      try print(family, as: "variants")
    } else if name.count == 1 {
      let details = try ModelCatalogue.Details(name[0], imageSize: imageSize)
      guard !json else { return Terminal.json(details.json) }
      Terminal.data("\(details.text)\n\n")
      print(details.facts)
      Terminal.data("\n")
      print(details.taps)
    } else {
      try print(
        ModelCatalogue.comparison(of: name, imageSize: imageSize), as: "architectures")
    }
  }

  private func print(_ table: Table, as name: String) throws {
    if json { Terminal.json([.init(name, table.json)]) } else { print(table) }
  }

  /// Lines are no longer than those of a terminal, or 100 characters where there is none.
  private func print(_ table: Table) {
    Terminal.data(table.plainText(limit: 400, width: Terminal.width() ?? 100))
  }
}
