import StrictJSON
import Tensors

/// How connection weights are described in the metadata of a feature file: the grid as of attention maps, and under
/// `connections` what is more than that.
extension Connections {
  /// `attention` for maps of every token to every other, which need no more; else `connections`.
  var layoutName: String { support == .tokens ? "attention" : "connections" }

  /// The members of a layer beside its name and kind.
  var members: [JSONValue.Member] {
    var members: [JSONValue.Member] = [
      .init("layout", .string(layoutName)), .init("height", .integer(height)),
      .init("width", .integer(width)), .init("prefix_tokens", .integer(prefix)),
    ]
    func list(_ numbers: Int...) -> JSONValue { .array(numbers.map(JSONValue.integer)) }
    switch support {
    case .tokens: break
    case .windows(let height, let width, let stride, let padding):
      members.append(
        .init(
          "connections",
          [
            "windows_on": list(height, width), "stride": .integer(stride),
            "padding": .integer(padding),
          ]))
    case .cells(let height, let width):
      members.append(.init("connections", ["cells": list(height, width)]))
    case .pooling: members.append(.init("connections", ["pooling": true]))
    case .taps(let w):
      members.append(
        .init(
          "connections",
          [
            "kernel": list(w.kernel.height, w.kernel.width),
            "stride": list(w.stride.height, w.stride.width),
            "padding": list(w.padding.0, w.padding.1, w.padding.2, w.padding.3),
            "dilation": list(w.dilation.height, w.dilation.width),
          ]))
    }
    if let declared {
      members.append(
        .init(
          "declared",
          [
            "source": .string(declared.source.rawValue), "channels": .integer(declared.channels),
            "dense": .bool(declared.isDense), "parameters": .integer(declared.parameters),
            "multiply_adds": .integer(declared.multiplyAdds),
          ]))
    }
    return members
  }

  /// Reads the members of a layer; nil where they are not understood or cannot be those of a layer.
  ///
  /// - Parameters:
  ///   - hasSupport: whether the layout is more than attention of all tokens.
  init?(_ layer: JSONValue, hasSupport: Bool) {
    guard let height = layer["height"]?.intValue, let width = layer["width"]?.intValue,
      let prefix = layer["prefix_tokens"]?.intValue
    else { return nil }
    var support = Support.tokens
    if hasSupport {
      guard let described = layer["connections"], let found = Self.support(described) else {
        return nil
      }
      support = found
    }
    var declared: Declaration?
    if let value = layer["declared"] {
      guard let source = value["source"]?.stringValue.flatMap(Declaration.Source.init),
        let channels = value["channels"]?.intValue, let isDense = value["dense"]?.boolValue,
        let parameters = value["parameters"]?.intValue,
        let multiplyAdds = value["multiply_adds"]?.intValue
      else { return nil }
      declared = Declaration(
        source, channels: channels, isDense: isDense, parameters: parameters,
        multiplyAdds: multiplyAdds)
    }
    self.init(height: height, width: width, prefix: prefix, support: support, declared: declared)
    guard isValid else { return nil }
  }

  private static func support(_ value: JSONValue) -> Support? {
    func list(_ key: String, _ count: Int) -> [Int]? {
      guard let numbers = value[key]?.arrayValue?.compactMap(\.intValue), numbers.count == count,
        numbers.allSatisfy({ (0...1 << 20).contains($0) })
      else { return nil }
      return numbers
    }
    if let map = list("windows_on", 2), let stride = value["stride"]?.intValue,
      let padding = value["padding"]?.intValue
    {
      return .windows(mapHeight: map[0], mapWidth: map[1], stride: stride, padding: padding)
    }
    if value["pooling"]?.boolValue == true { return .pooling }
    if let cells = list("cells", 2) { return .cells(height: cells[0], width: cells[1]) }
    guard let kernel = list("kernel", 2), let stride = list("stride", 2),
      let padding = list("padding", 4), let dilation = list("dilation", 2),
      (kernel + stride + dilation).allSatisfy({ $0 > 0 })
    else { return nil }
    return .taps(
      SlidingWindow(
        kernel: (kernel[0], kernel[1]), stride: (stride[0], stride[1]),
        padding: (padding[0], padding[1], padding[2], padding[3]),
        dilation: (dilation[0], dilation[1])))
  }
}
