import Models
import Reports
import StrictJSON
import Tensors

/// What the program knows of architectures, as tables.
public enum ModelCatalogue {
  /// A row a family.
  public static var families: Table {
    var table = Table(
      "models",
      columns: [.text("family"), .integer("variants"), .text("parameters"), .text("summary")])
    for family in ModelRegistry.families { table.append(row(family)) }
    return table
  }

  private static func row<C: ModelConfiguration>(_ family: C.Type) -> [Cell] {
    [
      .text(C.family), .integer(C.variants.count),
      .text(C.parameters.map(\.name).joined(separator: ",")), .text(C.summary),
    ]
  }

  /// A row a variant of the family; nil if there is no family of that name.
  public static func variants(of name: String) -> Table? {
    ModelRegistry.families.first { $0.family == name }.map { variants(of: $0) }
  }

  private static func variants<C: ModelConfiguration>(of family: C.Type) -> Table {
    var table = Table(
      C.family,
      columns: [
        .text("variant"), .integer("image"), .integer("parameters"), .real("gmac"),
        .text("configuration"),
      ])
    for variant in C.variants {
      let summary = try? ModelSummary(Architecture(variant.configuration))
      table.append([
        .text(variant.name), .integer(variant.configuration.imageSize.side),
        Cell(summary?.parameterCount), Cell(summary.map { Double($0.multiplyAdds) * 1e-9 }),
        .text(variant.configuration.text),
      ])
    }
    return table
  }

  /// Architectures side by side: parameters and multiply-adds.
  ///
  /// - Throws: as ``Details/init(_:imageSize:)``.
  public static func comparison(of names: [String], imageSize: Int? = nil) throws -> Table {
    var table = Table(
      "models",
      columns: [
        .text("architecture"), .integer("image"), .integer("parameters"), .real("gmac"),
        .integer("blocks"), .real("activations_mib"),
      ])
    for name in names {
      let summary = try Details(name, imageSize: imageSize).summary
      table.append([
        .text(name), .integer(summary.architecture.configuration.imageSize.side),
        .integer(summary.parameterCount), .real(Double(summary.multiplyAdds) * 1e-9),
        .integer(summary.taps(.block).count),
        .real(Double(summary.peakActivationBytes) / 0x1p20),
      ])
    }
    return table
  }

  /// One architecture: what it is, what it costs, and its taps.
  public struct Details: Sendable {
    let summary: ModelSummary

    /// Reads a variant's name, or a family with hyper-parameters.
    ///
    /// - Throws: `ModelError` with the nearest names.
    public init(_ name: String, imageSize: Int? = nil) throws {
      var configuration = try Architecture(name).configuration
      if let imageSize { configuration.imageSize = Extents(imageSize) }
      summary = try ModelSummary(Architecture(configuration))
    }

    /// The configuration as text that reads back the same.
    public var text: String { summary.architecture.text }

    /// Numbers about the whole model.
    public var facts: Table {
      var table = Table("facts", columns: [.text("what"), .text("value")])
      func row(_ what: String, _ value: String) { table.append([.text(what), .text(value)]) }
      let configuration = summary.architecture.configuration
      row(
        "input",
        "\(configuration.imageSize.height) x \(configuration.imageSize.width) x "
          + "\(configuration.channels)")
      row("classes", "\(configuration.classes)")
      row("parameters", "\(summary.parameterCount)")
      row("buffers", "\(summary.bufferCount)")
      row("multiply-adds an image", "\(summary.multiplyAdds)")
      row("activations of one image", "\(summary.peakActivationBytes) bytes at once")
      return table
    }

    /// A row a tap.
    public var taps: Table {
      var table = Table(
        "taps",
        columns: [
          .text("tap"), .text("kind"), .text("shape"), .integer("stage"), .integer("sequence"),
          .integer("block"),
        ])
      var (sequence, block) = (0, 0)
      for entry in summary.taps {
        let inSequence = entry.tap.roles.contains(.sequence)
        let isBlock = entry.tap.roles.contains(.block)
        table.append([
          .text(entry.tap.name), .text(entry.tap.kind.rawValue),
          .text(entry.shape.dimensions.dropFirst().map(String.init).joined(separator: " x ")),
          Cell(entry.tap.stage), Cell(inSequence ? sequence : nil), Cell(isBlock ? block : nil),
        ])
        sequence += inSequence ? 1 : 0
        block += isBlock ? 1 : 0
      }
      return table
    }

    /// Everything as JSON.
    public var json: JSONValue {
      [
        "architecture": .string(text), "parameters": .integer(summary.parameterCount),
        "buffers": .integer(summary.bufferCount),
        "multiply_adds": .integer(summary.multiplyAdds),
        "activation_bytes": .integer(summary.peakActivationBytes), "taps": taps.json,
      ]
    }
  }
}
