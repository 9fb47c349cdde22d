import Diagnostics
import Models
import Reports
import StrictJSON
import Tensors

/// What the program knows of architectures, as tables.
public enum ModelCatalogue {
  /// A row a family: how many variants it has, and what it is.
  public static var families: Table {
    var table = Table(
      "models", columns: [.text("family"), .integer("variants"), .text("summary")])
    for family in ModelRegistry.families {
      table.append([
        .text(family.family), .integer(family.variantNames.count), .text(family.summary),
      ])
    }
    return table
  }

  /// The names of all variants, a row a family.
  public static var variantNames: Table {
    var table = Table("variants", columns: [.text("family"), .text("variants")])
    for family in ModelRegistry.families {
      let names = family.variantNames
      guard !names.isEmpty else { continue }
      table.append([.text(family.family), .text(names.joined(separator: " "))])
    }
    return table
  }

  /// Every family with its hyper-parameters and variants, for programs.
  public static var json: JSONValue {
    .array(ModelRegistry.families.map { family($0) })
  }

  private static func family<C: ModelConfiguration>(_ family: C.Type) -> JSONValue {
    [
      "family": .string(C.family), "summary": .string(C.summary),
      "parameters": .array(C.parameters.map { .string($0.name) }),
      "variants": .array(C.variantNames.map(JSONValue.string)),
    ]
  }

  /// Whether a name is that of a family.
  public static func isFamily(_ name: String) -> Bool {
    ModelRegistry.families.contains { $0.family == name }
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
        .text(name), .integer(max(summary.inputShape.height, summary.inputShape.width)),
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
    /// The configuration as text that reads back the same.
    public let text: String

    /// Reads a variant's name, or a family with hyper-parameters.
    ///
    /// - Throws: `ModelError` with the nearest names.
    public init(_ name: String, imageSize: Int? = nil) throws {
      var configuration = try Architecture(name).configuration
      if let imageSize { configuration.imageSize = Extents(imageSize) }
      summary = try ModelSummary(Architecture(configuration))
      text = configuration.text
    }

    /// Numbers about the whole model.
    public var facts: Table {
      var table = Table("facts", columns: [.text("what"), .text("value")])
      func row(_ what: String, _ value: String) { table.append([.text(what), .text(value)]) }
      row("input", "\(summary.inputShape)")
      row("classes", "\(summary.classCount ?? 0)")
      row("parameters", counted(summary.parameterCount, ""))
      row("buffers", "\(summary.bufferCount)")
      row("multiply-adds an image", counted(summary.multiplyAdds, "MAC"))
      row(
        "activations of one image",
        counted(summary.peakActivationBytes, "iB", of: 1024) + " bytes at once")
      return table
    }

    /// `4.09 GMAC (4089184256)`.
    private func counted(_ count: Int, _ unit: String, of base: Double = 1000) -> String {
      var (value, prefix) = (Double(count), "")
      for next in ["k", "M", "G", "T", "P"] where value >= base {
        (value, prefix) = (value / base, next)
      }
      guard !prefix.isEmpty else { return "\(count)" }
      let scaled = NumberText.significant(value, digits: 3)
      return "\(scaled) \(base == 1024 ? prefix.uppercased() : prefix)\(unit) (\(count))"
    }

    /// A row a tap, with the keys that it has in tables.
    public var taps: Table {
      var table = Table(
        "taps",
        columns: [
          .text("tap"), .text("kind"), .text("shape"), .integer("stage"), .integer("layer_index"),
          .integer("block"), .integer("sequence"), .real("depth"),
        ])
      let positions = LayerPosition.all(of: summary.taps.map(\.tap))
      for (entry, position) in zip(summary.taps, positions) {
        table.append([
          .text(entry.tap.name), .text(entry.tap.kind.rawValue),
          .text(entry.shape.dimensions.dropFirst().map(String.init).joined(separator: " x ")),
          Cell(entry.tap.stage), .integer(position.index), Cell(position.block),
          Cell(position.sequence), .real(position.depth),
        ])
      }
      return table
    }

    /// Everything, as members of an object.
    public var json: [JSONValue.Member] {
      [
        .init("architecture", .string(text)),
        .init("parameters", .integer(summary.parameterCount)),
        .init("buffers", .integer(summary.bufferCount)),
        .init("multiply_adds", .integer(summary.multiplyAdds)),
        .init("activation_bytes", .integer(summary.peakActivationBytes)),
        .init("taps", taps.json),
      ]
    }
  }
}
