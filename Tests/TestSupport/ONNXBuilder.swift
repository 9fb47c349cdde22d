/// The parts of a small ONNX model, `y = Relu(x + w)`, each as Protocol Buffers has it, to be changed one by one.
package struct ONNXBuilder {
  package var version = number(1, 10)
  package var operators = bytes(8, number(2, 18))
  package var nodes = [
    node("Add", ["x", "w"], ["sum"], "/a/Add"), node("Relu", ["sum"], ["y"], "/b/Relu"),
  ]
  package var initializers = [tensor("w", [2, 2], raw: [UInt8](repeating: 0, count: 16))]
  package var inputs = [value("x", [1, 3, 2, 2])]
  package var outputs = [value("y", [1, 3, 2, 2])]
  /// More fields of the graph and of the model.
  package var graph: [UInt8] = []
  package var model: [UInt8] = []

  package init() {}

  package var bytes: [UInt8] {
    let fields =
      nodes.map { Self.bytes(1, $0) } + initializers.map { Self.bytes(5, $0) }
      + inputs.map { Self.bytes(11, $0) } + outputs.map { Self.bytes(12, $0) }
    return version + Self.text(2, "pytorch") + Self.text(3, "2.15.0") + operators
      + Self.bytes(7, fields.flatMap { $0 } + graph) + model
  }

  // MARK: Fields

  package static func varint(_ value: UInt64) -> [UInt8] {
    var (rest, result) = (value, [UInt8]())
    while rest >= 0x80 {
      result.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return result + [UInt8(rest)]
  }

  package static func number(_ field: Int, _ value: Int) -> [UInt8] {
    varint(UInt64(field << 3)) + varint(UInt64(bitPattern: Int64(value)))
  }

  package static func bytes(_ field: Int, _ payload: [UInt8]) -> [UInt8] {
    varint(UInt64(field << 3 | 2)) + varint(UInt64(payload.count)) + payload
  }

  package static func text(_ field: Int, _ text: String) -> [UInt8] {
    bytes(field, Array(text.utf8))
  }

  // MARK: Messages

  package static func node(
    _ operation: String, _ inputs: [String], _ outputs: [String], _ name: String = "",
    _ attributes: [[UInt8]] = [], more: [UInt8] = []
  ) -> [UInt8] {
    inputs.flatMap { text(1, $0) } + outputs.flatMap { text(2, $0) } + text(3, name)
      + text(4, operation) + attributes.flatMap { bytes(5, $0) } + more
  }

  package static func tensor(
    _ name: String, _ dims: [Int], type: Int = 1, raw: [UInt8]? = nil, more: [UInt8] = []
  ) -> [UInt8] {
    dims.flatMap { number(1, $0) } + number(2, type) + text(8, name)
      + (raw.map { bytes(9, $0) } ?? []) + more
  }

  package static func value(_ name: String, _ dims: [Int], type: Int = 1) -> [UInt8] {
    let shape = dims.flatMap { bytes(1, number(1, $0)) }
    return text(1, name) + bytes(2, bytes(1, number(1, type) + bytes(2, shape)))
  }

  /// An attribute of one number, or of several.
  package static func attribute(_ name: String, _ value: Int) -> [UInt8] {
    text(1, name) + number(3, value) + number(20, 2)
  }

  package static func attribute(_ name: String, _ values: [Int]) -> [UInt8] {
    text(1, name) + values.flatMap { number(8, $0) } + number(20, 7)
  }

  /// Where values lie beside the model.
  package static func external(_ pairs: KeyValuePairs<String, String>) -> [UInt8] {
    pairs.flatMap { bytes(13, text(1, $0.key) + text(2, $0.value)) } + number(14, 1)
  }
}
