import TestSupport
import Testing

@testable import Checkpoints

private typealias Parts = ONNXBuilder

/// ONNX models, sound ones and those made to mislead.
@Suite struct ONNXReaderTests {
  private func open(_ bytes: [UInt8], beside data: [UInt8] = []) throws -> Checkpoint {
    let scratch = Scratch()
    scratch.write(data, as: "m.data")
    return try Checkpoint.open(scratch.write(bytes, as: "m.onnx"))
  }

  @Test func readsGraphAndWeights() throws {
    var parts = Parts()
    parts.initializers = [
      Parts.tensor("w", [2, 2], raw: (1...4).flatMap { little(Float($0).bitPattern) })
    ]
    let checkpoint = try open(parts.bytes)
    #expect(checkpoint.format == .onnx)
    #expect(try checkpoint["w"]?.floats() == [1, 2, 3, 4])
    #expect(try checkpoint["w"]?.payload().isMapped == true)
    let program = try #require(checkpoint.program)
    #expect(program.writer == .onnx(producer: "pytorch 2.15.0", opset: 18))
    #expect(program.nodes.map(\.target) == ["onnx.Add", "onnx.Relu"])
    #expect(program.nodes.map(\.module) == ["a", "b"])
    #expect(program.inputs.contains(.user("x")))
  }

  private static func singles(_ values: Float...) -> [UInt8] {
    values.flatMap { little($0.bitPattern) }
  }

  private static func doubles(_ values: Double...) -> [UInt8] {
    values.flatMap { little($0.bitPattern) }
  }

  private static func numbers(_ field: Int, _ values: Int...) -> [UInt8] {
    values.flatMap { Parts.number(field, $0) }
  }

  /// Every way that values are stored in, each as 1, 2, 3.
  static let ways: [(Int, String, [UInt8])] = [
    (1, "F32", Parts.bytes(4, singles(1, 2, 3))),
    (1, "F32", [0x25] + singles(1) + [0x25] + singles(2) + [0x25] + singles(3)),
    (11, "F64", Parts.bytes(10, doubles(1, 2, 3))), (7, "I64", Parts.bytes(7, [1, 2, 3])),
    (7, "I64", numbers(7, 1, 2, 3)), (6, "I32", Parts.bytes(5, [1, 2, 3])),
    (3, "I8", Parts.bytes(5, [1, 2, 3])), (10, "F16", numbers(5, 0x3C00, 0x4000, 0x4200)),
    (16, "BF16", numbers(5, 0x3F80, 0x4000, 0x4040)), (13, "U64", Parts.bytes(11, [1, 2, 3])),
    (10, "F16", Parts.bytes(9, [0, 0x3C, 0, 0x40, 0, 0x42])),
    (1, "F32", Parts.external(["location": "m.data", "offset": "4", "length": "12"])),
  ]

  @Test(arguments: ways)
  func readsValues(_ type: Int, _ name: String, _ values: [UInt8]) throws {
    var parts = Parts()
    parts.initializers.append(Parts.tensor("v", [3], type: type, more: values))
    let tensor = try #require(try open(parts.bytes, beside: Self.singles(0, 1, 2, 3))["v"])
    #expect(tensor.dtype.rawValue == name)
    #expect(try tensor.floats() == [1, 2, 3])
  }

  @Test func constantsAreTensors() throws {
    var parts = Parts()
    parts.nodes.insert(
      Parts.node("Constant", [], ["c"], "", [Parts.attribute("value_ints", [4, -1])]), at: 0)
    let checkpoint = try open(parts.bytes)
    #expect(try checkpoint["c"]?.floats() == [4, -1])
    #expect(checkpoint.program?.nodes.count == 2)
  }

  /// A gain of maps is a vector along the axis of channels; a table that is added may be a mask.
  @Test func vectorsThatScaleAreParameters() throws {
    for (shape, isParameter) in [([1, 3, 1, 1], true), ([1, 3, 2, 2], false)] {
      var parts = Parts()
      parts.nodes[0] = Parts.node("Mul", ["x", "gain"], ["sum"], "/a/Mul")
      let count = 4 * shape.reduce(1, *)
      parts.initializers = [
        Parts.tensor("gain", shape, raw: [UInt8](repeating: 0, count: count))
      ]
      let inputs = try open(parts.bytes).program?.inputs
      let own: ExportedProgram.Input =
        isParameter ? .parameter("gain", tensor: "gain") : .constant("gain", tensor: "gain")
      #expect(inputs == [.user("x"), own])
    }
  }

  @Test func operationsWithoutModulesArePlacedByTheirNeighbours() {
    func node(_ name: String, _ read: [String], _ made: String, _ modules: [String])
      -> ExportedProgram.Node
    {
      ExportedProgram.Node(
        target: "onnx.\(name)",
        arguments: read.enumerated().map { .init(name: "\($0)", value: .tensor($1)) },
        outputs: [.tensor(made)],
        modules: modules.map { ExportedProgram.ModuleCall(module: $0, call: 0, type: "") })
    }
    let program = ExportedProgram(
      member: "", writer: .onnx(producer: "", opset: 18),
      inputs: [.user("x"), .constant("table", tensor: "table")],
      outputs: [.user(.tensor("z"), key: nil)],
      nodes: [
        node("Neg", ["table"], "k", ["other"]), node("Conv", ["x"], "p", ["m", "m.a"]),
        // Two after each other, the second of a table that comes from elsewhere.
        node("Split", ["p"], "q", []), node("Mul", ["q", "k"], "r", []),
        node("Relu", ["r"], "y", ["m", "m.b"]),
        // Within one module; and what gives the result.
        node("Abs", ["y"], "w", []), node("Exp", ["w"], "v", ["m", "m.b"]),
        node("Log", ["v"], "z", []),
      ], values: [:], modules: [])
    var placement = ONNXPlacement()
    for name in ["q", "r", "w", "z"] { placement.note([name]) }
    let placed = placement.applied(to: program).nodes.map { $0.modules.map(\.module) }
    #expect(
      placed == [
        ["other"], ["m", "m.a"], ["m"], ["m"], ["m", "m.b"], ["m", "m.b"], ["m", "m.b"], [],
      ])
    #expect(placement.notes.count == 1 && placement.notes[0].hasSuffix("1 Abs, 1 Mul, 1 Split"))
  }

  @Test func scopesTellModules() {
    func names(_ metadata: [[String: String]], _ nodes: [String]) -> [[String]] {
      var scopes = ONNXScopes()
      return zip(metadata, nodes).map { pair in
        (scopes.modules(of: pair.0, node: pair.1) ?? []).map {
          $0.call == 0 ? $0.module : "\($0.module)#\($0.call + 1)"
        }
      }
    }
    let none = [[String: String]](repeating: [:], count: 5)
    #expect(
      names(
        none,
        [
          "/blocks/blocks.0/attn/MatMul_1", "/features/features.0/features.0.1/Conv", "/act/Relu",
          "/act_1/Relu", "Conv_0",
        ]) == [
          ["blocks", "blocks.0", "blocks.0.attn"], ["features", "features.0", "features.0.1"],
          ["act"],
          ["act#2"], [],
        ])
    let told = ["['', 'a', 'a.b', 'relu']", "['', 'a', 'add']", "['', 'a', \"a.b\", 'relu_1']"].map
    {
      ["pkg.torch.onnx.name_scopes": $0]
    }
    #expect(names(told, ["", "", ""]) == [["a", "a.b"], ["a"], ["a", "a.b#2"]])
  }

  // MARK: Models made to mislead

  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let kind: CheckpointError.Kind
    let says: String
    let change: @Sendable (inout ONNXBuilder) -> Void

    init(
      _ name: String, _ kind: CheckpointError.Kind = .malformed, says: String,
      _ change: @escaping @Sendable (inout ONNXBuilder) -> Void
    ) {
      (self.name, self.kind, self.says, self.change) = (name, kind, says, change)
    }

    var testDescription: String { name }
  }

  private static func stored(_ dims: [Int], type: Int = 1, _ more: [UInt8]) -> [[UInt8]] {
    [Parts.tensor("w", dims, type: type, more: more)]
  }

  static let cases: [Case] = [
    .init("an early version", .unsupported, says: "version 12 (opset)") {
      $0.operators = Parts.bytes(8, Parts.number(2, 12))
    },
    .init("a late version", .unsupported, says: "version 21 (opset)") {
      $0.operators = Parts.bytes(8, Parts.number(2, 21))
    },
    .init("operations of another domain alone", .unsupported, says: "no version of operations") {
      $0.operators = Parts.bytes(8, Parts.text(1, "com.microsoft") + Parts.number(2, 1))
    },
    .init("a second graph", says: "a second graph") { $0.model = Parts.bytes(7, []) },
    .init("a graph for training", .unsupported, says: "training") {
      $0.model = Parts.bytes(20, [])
    },
    .init("a field that is not known", .unsupported, says: "field 99 of ModelProto") {
      $0.model = Parts.number(99, 1)
    },
    .init("sparse weights", .unsupported, says: "sparse") { $0.graph = Parts.bytes(15, []) },
    .init("quantised tensors", .unsupported, says: "quantised") { $0.graph = Parts.bytes(14, []) },
    .init("text where a number stands", says: "field 2 of OperatorSetIdProto") {
      $0.operators = Parts.bytes(8, Parts.text(2, "18"))
    },
    .init("a number where a message stands", says: "field 1 of GraphProto") {
      $0.graph = Parts.number(1, 5)
    },
    .init("a group", says: "wire type 3") { $0.graph = [0x0B] },
    .init("a field of number 0", says: "number 0") { $0.graph = [0x02, 0x00] },
    .init("a length beyond the file", .truncated, says: "field 1 of GraphProto") {
      $0.graph = [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]
    },
    .init("a length beyond 64 bits", .truncated, says: "GraphProto") {
      $0.graph = [0x0A] + [UInt8](repeating: 0xFF, count: 9) + [0x01]
    },
    .init("a number without an end", says: "without an end") {
      $0.graph = [UInt8](repeating: 0xFF, count: 40)
    },
    .init("a name that is no text", says: "UTF-8") {
      $0.graph = Parts.bytes(1, [0x0A, 2, 0xC3, 0x28])
    },
    .init("too many operations", .limitExceeded, says: "more than 200000") {
      $0.graph = [UInt8]((0..<300_000).map { _ in [0x0A, 0x00] }.joined())
    },
    .init("an operation without a name", says: "an operation of this name") {
      $0.nodes[0] = Parts.node("", ["x", "w"], ["sum"])
    },
    .init("an operation of a strange name", says: "an operation of this name") {
      $0.nodes[0] = Parts.node("Add.x", ["x", "w"], ["sum"])
    },
    .init("a value that nobody makes", says: "\"ghost\"") {
      $0.nodes[0] = Parts.node("Add", ["x", "ghost"], ["sum"])
    },
    .init("a value that reads itself", says: "\"sum\"") {
      $0.nodes[0] = Parts.node("Add", ["x", "sum"], ["sum"])
    },
    .init("a cycle of two", says: "\"y\"") {
      $0.nodes[0] = Parts.node("Add", ["x", "y"], ["sum"])
    },
    .init("a value made twice", says: "a second time") { $0.nodes.append($0.nodes[0]) },
    .init("an input made again", says: "a second time") {
      $0.nodes[0] = Parts.node("Add", ["x", "w"], ["x"])
    },
    .init("two tensors of a name", says: "a second time") {
      $0.initializers.append($0.initializers[0])
    },
    .init("a result that is not there", says: "\"ghost\"") {
      $0.outputs = [Parts.value("ghost", [1, 3, 2, 2])]
    },
    .init("an attribute twice", says: "\"axis\" a second time") {
      let attribute = Parts.attribute("axis", 1)
      $0.nodes[1] = Parts.node("Relu", ["sum"], ["y"], "", [attribute, attribute])
    },
    .init("an attribute of another type", says: "of type 4") {
      $0.nodes[1] = Parts.node(
        "Relu", ["sum"], ["y"], "",
        [Parts.text(1, "axis") + Parts.number(3, 1) + Parts.number(20, 4)])
    },
    .init("an attribute of no type", says: "of type 0") {
      $0.nodes[1] = Parts.node(
        "Relu", ["sum"], ["y"], "", [Parts.text(1, "a") + Parts.number(3, 1)])
    },
    .init("fewer bytes than values", says: "12 bytes of values") {
      $0.initializers = [Parts.tensor("w", [2, 2], raw: [UInt8](repeating: 0, count: 12))]
    },
    .init("fewer numbers than values", says: "3 values") {
      $0.initializers = stored([2, 2], type: 7, Parts.bytes(7, [1, 2, 3]))
    },
    .init("singles of half a number", says: "6 bytes of values") {
      $0.initializers = stored([2], Parts.bytes(4, [1, 2, 3, 4, 5, 6]))
    },
    .init("values at two places", says: "several places") {
      $0.initializers = stored([1], Parts.bytes(9, [0, 0, 0, 0]) + Parts.bytes(4, [0, 0, 0, 0]))
    },
    .init("whole numbers as floats", says: "whole numbers as F32") {
      $0.initializers = stored([1], Parts.number(5, 1))
    },
    .init("singles as whole numbers", says: "of another type than I64") {
      $0.initializers = stored([1], type: 7, Parts.bytes(4, [0, 0, 0, 0]))
    },
    .init("a type that is not known", .unsupported, says: "type 99") {
      $0.initializers = stored([2, 2], type: 99, [])
    },
    .init("weights of four bits", .unsupported, says: "type 22") {
      $0.initializers = stored([2], type: 22, Parts.bytes(9, [0]))
    },
    .init("extents that overflow", says: "extents") {
      $0.initializers = stored([1 << 40, 1 << 40], [])
    },
    .init("an extent below 0", says: "extents [-4]") { $0.initializers = stored([-4], []) },
    .init("a hundred axes", says: "extents") {
      $0.initializers = stored([Int](repeating: 1, count: 100), Parts.bytes(9, [0, 0, 0, 0]))
    },
    .init("a file above the folder", says: "\"../m.data\"") {
      $0.initializers = stored([1], Parts.external(["location": "../m.data"]))
    },
    .init("a file anywhere", says: "\"/etc/passwd\"") {
      $0.initializers = stored([1], Parts.external(["location": "/etc/passwd"]))
    },
    .init("a file of no name", says: "\"\"") { $0.initializers = stored([1], Parts.external([:])) },
    .init("a file that is not there", .missing, says: "\"n.data\"") {
      $0.initializers = stored([1], Parts.external(["location": "n.data"]))
    },
    .init("values beyond the file beside", .truncated, says: "16 bytes") {
      $0.initializers = stored([4], Parts.external(["location": "m.data", "offset": "4"]))
    },
    .init("another length than the tensor's", says: "12 bytes of external data") {
      $0.initializers = stored([4], Parts.external(["location": "m.data", "length": "12"]))
    },
    .init("an offset below 0", says: "offset \"-4\"") {
      $0.initializers = stored([1], Parts.external(["location": "m.data", "offset": "-4"]))
    },
    .init("an offset that overflows", .truncated, says: "from byte 9223372036854775807") {
      $0.initializers = stored(
        [1], Parts.external(["location": "m.data", "offset": "9223372036854775807"]))
    },
    .init("data packed in a way of its own", .unsupported, says: "\"zip\"") {
      $0.initializers = stored([1], Parts.external(["location": "m.data", "zip": "1"]))
    },
  ]

  @Test(arguments: cases)
  func refuses(_ one: Case) throws {
    var parts = Parts()
    one.change(&parts)
    let error = failure {
      for tensor in try open(parts.bytes, beside: [UInt8](repeating: 0, count: 16)).tensors {
        _ = try tensor.floats()
      }
    }
    #expect(error?.kind == one.kind, "\(error?.description ?? "accepted")")
    #expect(error?.description.contains(one.says) == true, "\(error?.description ?? "accepted")")
  }

  @Test func cutAnywhereIsRefused() {
    let whole = Parts().bytes
    for length in 0..<whole.count {
      #expect(failure { _ = try open(Array(whole[..<length])) } != nil, "\(length) bytes")
    }
  }
}
