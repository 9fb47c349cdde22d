import Reports
import Tensors

/// Where a layer stands in its whole network, whichever of the layers are looked at: with the names of model,
/// data and layer, what the rows of different tables are joined by.
public struct LayerPosition: Sendable, Codable, Hashable {
  /// Its place among all layers of the network, from 0; kernels of local layers are counted behind all others.
  public let index: Int
  /// Its place among the outputs of whole blocks; nil if it is none.
  public let block: Int?
  /// Its place among the states after residual half-blocks, the embedding first; nil if it is none.
  public let sequence: Int?
  /// Normalised depth, from 0 to 1: `s / (S - 1)`, with s the place of the first such state at the layer or
  /// after it, and S their number.
  public let depth: Double

  /// A position made of its parts.
  public init(index: Int, block: Int?, sequence: Int?, depth: Double) {
    (self.index, self.block, self.sequence, self.depth) = (index, block, sequence, depth)
  }

  /// The positions of all layers of a network, in the order of the forward pass. Depth is counted in layers
  /// where none is known as the state after a half-block.
  public static func all(of taps: [Tap]) -> [LayerPosition] {
    let values = taps.indices.filter { !taps[$0].isAttention }
    let states = values.filter { taps[$0].roles.contains(.sequence) }
    let scale = !states.isEmpty ? states : values.isEmpty ? Array(taps.indices) : values
    var (next, blocks, sequence) = (0, 0, 0)
    var (others, kernels) = (0, taps.count { !$0.isKernel })
    return taps.indices.map { index in
      while next < scale.count - 1, scale[next] < index { next += 1 }
      func place(_ role: Tap.Roles, _ count: inout Int) -> Int? {
        guard taps[index].roles.contains(role), !taps[index].isAttention else { return nil }
        defer { count += 1 }
        return count
      }
      func number(_ count: inout Int) -> Int {
        defer { count += 1 }
        return count
      }
      return LayerPosition(
        index: taps[index].isKernel ? number(&kernels) : number(&others),
        block: place(.block, &blocks), sequence: place(.sequence, &sequence),
        depth: scale.count > 1 ? Double(next) / Double(scale.count - 1) : 0)
    }
  }

  /// Whether the numbers can be those of a layer, as they are unless a file was tampered with.
  var isValid: Bool {
    (0...1).contains(depth)
      && [index, block ?? 0, sequence ?? 0].allSatisfy { (0...1 << 40).contains($0) }
  }

  /// The columns by which rows on layers are joined across tables; see ``keys(of:at:in:on:)``.
  public static let keyColumns: [Column] = [
    .text("model"), .text("data"), .integer("layer_index"), .text("layer_name"), .text("kind"),
    .integer("block"), .integer("sequence"), .real("depth"),
  ]

  /// Model, data, and index, name, kind and position of a layer.
  public static func keys(
    of layer: Tap, at position: LayerPosition, in model: String, on data: String
  ) -> [Cell] {
    [
      .text(model), .text(data), .integer(position.index), .text(layer.name),
      .text(layer.kind.rawValue),
    ] + position.cells
  }

  /// Block, sequence and depth in a row of a table.
  var cells: [Cell] { [Cell(block), Cell(sequence), .real(depth)] }
}

extension SubjectPlan {
  /// The keys of the rows on a tap.
  public func keys(_ index: Int, on data: String) -> [Cell] {
    LayerPosition.keys(of: taps[index].tap, at: positions[index], in: label, on: data)
  }
}
