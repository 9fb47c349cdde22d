import TestSupport
import Testing

@testable import Checkpoints

private func text(_ text: String) -> [UInt8] { Array(text.utf8) }

/// Archives of `torch.export.save`, sound ones and those made to mislead.
@Suite struct ExportedArchiveTests {
  /// The parts of a small archive: `y = relu(x + w)`.
  struct Parts {
    var nodes =
      "{\"target\":\"torch.ops.aten.add.Tensor\",\"inputs\":[\(Parts.argument("self", "as_tensor", "{\"name\":\"x\"}")),"
      + "\(Parts.argument("other", "as_tensor", "{\"name\":\"p_w\"}"))],\"outputs\":[{\"as_tensor\":{\"name\":\"add\"}}],"
      + "\"metadata\":{\"nn_module_stack\":\"L__self__,,M;L__self__a@1,a,A\"}}"
    var values =
      "\"x\":\(Parts.meta("[1,3,2,2]")),\"p_w\":\(Parts.meta("[2,2]")),\"add\":\(Parts.meta("[1,3,2,2]"))"
    var inputs =
      "{\"parameter\":{\"arg\":{\"name\":\"p_w\"},\"parameter_name\":\"w\"}},"
      + "{\"user_input\":{\"arg\":{\"as_tensor\":{\"name\":\"x\"}}}}"
    var outputs = "{\"user_output\":{\"arg\":{\"as_tensor\":{\"name\":\"add\"}}}}"
    var version = "{\"major\":8,\"minor\":20}"
    var weights =
      "\"w\":{\"path_name\":\"weight_0\",\"is_param\":true,\"use_pickle\":false,\"tensor_meta\":"
      + "\(Parts.weight("[2,2]", "[2,1]", "0"))}"
    var payload = [UInt8](repeating: 0, count: 16)
    var graph: String?
    var format = "pt2"
    var order = "little"
    var modelName = "models/model.json"
    var weightsName = "data/weights/model_weights_config.json"
    var more: [(String, String)] = []
    /// The weights and constants as files of `torch.save`, as until PyTorch 2.8; nil for those of today.
    var saved: (weights: [UInt8], constants: [UInt8])?
    /// Whether members have the names of before PyTorch 2.8.
    var isEarly = false

    static func argument(_ name: String, _ kind: String, _ value: String) -> String {
      "{\"name\":\"\(name)\",\"arg\":{\"\(kind)\":\(value)},\"kind\":1}"
    }

    static func meta(_ sizes: String, dtype: Int = 7) -> String {
      let list = sizes.dropFirst().dropLast().split(separator: ",").map { "{\"as_int\":\($0)}" }
      return "{\"dtype\":\(dtype),\"sizes\":[\(list.joined(separator: ","))],\"layout\":7}"
    }

    static func weight(
      _ sizes: String, _ strides: String, _ offset: String, dtype: Int = 7, layout: Int = 7
    ) -> String {
      func list(_ text: String) -> String {
        text.dropFirst().dropLast().split(separator: ",").map { "{\"as_int\":\($0)}" }
          .joined(separator: ",")
      }
      return "{\"dtype\":\(dtype),\"sizes\":[\(list(sizes))],\"strides\":[\(list(strides))],"
        + "\"storage_offset\":{\"as_int\":\(offset)},\"layout\":\(layout)}"
    }

    func bytes(root: String = "m/") -> [UInt8] {
      let document =
        graph
        ?? "{\"graph_module\":{\"graph\":{\"nodes\":[\(nodes)],\"tensor_values\":{\(values)}},"
        + "\"signature\":{\"input_specs\":[\(inputs)],\"output_specs\":[\(outputs)]},"
        + "\"module_call_graph\":[{\"fqn\":\"\"},{\"fqn\":\"a\"}]},\"schema_version\":\(version),"
        + "\"torch_version\":\"2.15.0\"}"
      var members: [(String, [UInt8])] = [
        ("data/weights/weight_0", payload), (weightsName, text("{\"config\":{\(weights)}}")),
        ("data/constants/model_constants_config.json", text("{\"config\":{}}")),
        (modelName, text(document)), ("archive_format", text(format)), ("byteorder", text(order)),
      ]
      if let saved {
        members = [
          ("data/weights/model.pt", saved.weights), ("data/constants/model.pt", saved.constants),
        ]
        members += [
          (modelName, text(document)), ("archive_format", text(format)), ("byteorder", text(order)),
        ]
        if isEarly {
          members = [
            ("serialized_exported_program.json", text(document)),
            ("serialized_state_dict.pt", saved.weights),
            ("serialized_constants.pt", saved.constants), ("version", text("8.2")),
          ]
        }
      }
      members += more.map { ($0.0, text($0.1)) }
      return ZipBuilder(members.map { .init(root + $0.0, $0.1) }).bytes()
    }
  }

  private func open(_ bytes: [UInt8]) throws -> Checkpoint {
    let scratch = Scratch()
    return try Checkpoint.open(scratch.write(bytes, as: "m.pt2"))
  }

  /// Whatever a graph of one exporter or the other has for the first part of an entry.
  @Test(arguments: [
    "L__self___a_b@1", "getattr_L__self___a___0___b@1", "140213@1", "slf_a_b@1",
  ])
  func modulesAreThoseThatAnOperationStandsIn(_ key: String) throws {
    var parts = Parts()
    parts.nodes = parts.nodes.replacing("L__self__a@1,a,A", with: "L__self___a,a,A;\(key),a.0.b,B")
    let calls = try #require(try open(parts.bytes()).program?.nodes.first).modules
    #expect(calls.map(\.module) == ["a", "a.0.b"])
    #expect(calls.map(\.call) == [0, 1])
    #expect(calls.map(\.type) == ["A", "B"])
  }

  @Test func readsGraphAndWeights() throws {
    var parts = Parts()
    parts.payload = (1...4).flatMap { little(Float($0).bitPattern) }
    for root in ["m/", ""] {
      let checkpoint = try open(parts.bytes(root: root))
      #expect(checkpoint.format == .exported)
      #expect(try checkpoint["w"]?.floats() == [1, 2, 3, 4])
      #expect(try checkpoint["w"]?.payload().isMapped == true)
      let program = try #require(checkpoint.program)
      #expect(program.writer == .torch(version: "2.15.0", schema: "8.20"))
      #expect(program.inputs == [.parameter("p_w", tensor: "w"), .user("x")])
      #expect(program.outputs == [.user(.tensor("add"), key: nil)])
      let node = try #require(program.nodes.first)
      #expect(node.target == "aten.add.Tensor")
      #expect(node.arguments.map(\.value) == [.tensor("x"), .tensor("p_w")])
      #expect(node.modules == [.init(module: "a", call: 1, type: "A")])
      #expect(program.values["x"]?.sizes == [.fixed(1), .fixed(3), .fixed(2), .fixed(2)])
      #expect(program.modules == ["a"])
    }
  }

  @Test func readsModulesOfStrictExports() throws {
    var parts = Parts()
    parts.nodes = parts.nodes.replacing("L__self__a@1,a,A", with: "140400185710992@1,a,A")
    #expect(
      try open(parts.bytes()).program?.nodes[0].modules == [.init(module: "a", call: 1, type: "A")])
  }

  @Test func readsStridesOffsetsAndOtherOrders() throws {
    var parts = Parts()
    parts.payload = (1...6).flatMap { little(Float($0).bitPattern) }
    parts.weights =
      "\"w\":{\"path_name\":\"weight_0\",\"is_param\":true,\"use_pickle\":false,\"tensor_meta\":"
      + "\(Parts.weight("[2,2]", "[1,2]", "1"))}"
    #expect(try open(parts.bytes())["w"]?.floats() == [2, 4, 3, 5])
    parts.order = "big"
    parts.payload = (1...6).flatMap { little(Float($0).bitPattern.byteSwapped) }
    #expect(try open(parts.bytes())["w"]?.floats() == [2, 4, 3, 5])
    // The list of weights had another name once.
    parts.order = "little"
    parts.payload = (1...6).flatMap { little(Float($0).bitPattern) }
    parts.weightsName = "data/weights/model_model_param_config.json"
    #expect(try open(parts.bytes())["w"]?.floats() == [2, 4, 3, 5])
  }

  // MARK: Weights within a file of torch.save

  /// What `torch.save` writes of a dictionary of tensors of one storage of four numbers.
  private static func saved(
    _ pairs: [(String, [UInt8])], change: (inout ZipBuilder) -> Void = { _ in }
  ) -> [UInt8] {
    torchArchive(
      [0x80, 2] + Pickle.dictionary(pairs.map { (Pickle.string($0.0), $0.1) }) + Pickle.stop,
      storages: ["0": (1...4).flatMap { little(Float($0).bitPattern) }], change: change)
  }

  private static let weight = Pickle.tensor(shape: [2, 2], strides: [2, 1])

  @Test(arguments: [(false, "m/"), (true, ""), (true, "m/")])
  func readsWeightsOfEarlierVersions(isEarly: Bool, root: String) throws {
    var parts = Parts()
    parts.isEarly = isEarly
    parts.version = "{\"major\":8,\"minor\":2}"
    parts.saved = (
      Self.saved([("w", Self.weight), ("twin", Self.weight)]),
      Self.saved([("c", Pickle.tensor(offset: 1, shape: [2], strides: [2]))])
    )
    let checkpoint = try open(parts.bytes(root: root))
    #expect(checkpoint.format == .exported)
    #expect(checkpoint.tensors.map(\.name) == ["w", "twin", "c"])
    let (own, twin) = (try #require(checkpoint["w"]), try #require(checkpoint["twin"]))
    #expect(try own.floats() == [1, 2, 3, 4])
    #expect(own.isSameData(as: twin))
    #expect(try own.payload().isMapped)
    #expect(try checkpoint["c"]?.floats() == [2, 4])
    #expect(checkpoint.program?.inputs == [.parameter("p_w", tensor: "w"), .user("x")])
    // Constants without any tensor are no file at all.
    parts.saved?.constants = []
    #expect(try open(parts.bytes(root: root)).tensors.count == 2)
  }

  /// What stands in the file of weights, and what is said of it.
  static let savedCases: [(String, CheckpointError.Kind, String, [UInt8])] = [
    ("no archive", .truncated, "serialized_state_dict.pt\": ", [1, 2, 3]),
    (
      "a call", .unsupported, "os.system",
      saved([("w", Pickle.call("os", "system", [weight]))])
    ),
    (
      "code", .unsupported, "TorchScript",
      saved([("w", weight)]) { $0.members.append(.init("archive/code/a.py", [1])) }
    ),
    (
      "no dictionary", .unsupported, "a dictionary", torchArchive([0x80, 2] + weight + Pickle.stop)
    ),
    (
      "a view beyond the storage", .malformed, "serialized_state_dict.pt\": tensor \"w\"",
      saved([("w", Pickle.tensor(offset: 3, shape: [2, 2], strides: [2, 1]))])
    ),
    (
      "an archive of a program", .unsupported, "serialized_state_dict.pt\"",
      ZipBuilder([.init("serialized_exported_program.json", [1])]).bytes()
    ),
  ]

  @Test(arguments: savedCases)
  func refusesWeights(
    _ name: String, _ kind: CheckpointError.Kind, _ says: String, _ bytes: [UInt8]
  ) throws {
    var parts = Parts()
    (parts.isEarly, parts.saved) = (true, (bytes, []))
    let error = failure {
      for tensor in try open(parts.bytes(root: "")).tensors { _ = try tensor.floats() }
    }
    #expect(error?.kind == kind, "\(error?.description ?? "accepted")")
    #expect(error?.description.contains(says) == true, "\(error?.description ?? "accepted")")
  }

  @Test func refusesOtherSchemasAndCutsOfEarlierVersions() throws {
    var parts = Parts()
    (parts.isEarly, parts.saved) = (true, (Self.saved([("w", Self.weight)]), []))
    parts.version = "{\"major\":5,\"minor\":1}"
    #expect(
      failure { _ = try open(parts.bytes(root: "")) }?.found == "a graph of schema version 5.1")
    parts.version = "{\"major\":8,\"minor\":2}"
    let whole = parts.bytes(root: "")
    for length in stride(from: 0, to: whole.count, by: 97) {
      #expect(failure { _ = try open(Array(whole[..<length])) } != nil, "\(length) bytes")
    }
  }

  /// A change of the parts, and what is said of it.
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let kind: CheckpointError.Kind
    let says: String
    let change: @Sendable (inout Parts) -> Void

    init(
      _ name: String, _ kind: CheckpointError.Kind = .malformed, says: String,
      _ change: @escaping @Sendable (inout Parts) -> Void
    ) {
      (self.name, self.kind, self.says, self.change) = (name, kind, says, change)
    }

    var testDescription: String { name }
  }

  private static func stored(_ meta: String, _ rest: String = "\"use_pickle\":false") -> String {
    "\"w\":{\"path_name\":\"weight_0\",\"is_param\":true,\(rest),\"tensor_meta\":\(meta)}"
  }

  private static func node(
    _ inputs: String, _ outputs: String, target: String = "\"aten.relu.default\""
  )
    -> String
  {
    "{\"target\":\(target),\"inputs\":[\(inputs)],\"outputs\":[\(outputs)],\"metadata\":{}}"
  }

  private static let made = "{\"as_tensor\":{\"name\":\"add\"}}"
  private static let read = Parts.argument("self", "as_tensor", "{\"name\":\"x\"}")

  static let cases: [Case] = [
    .init("schema of an earlier major version", .unsupported, says: "version 7.3") {
      $0.version = "{\"major\":7,\"minor\":3}"
    },
    .init("schema of a later major version", .unsupported, says: "version 9.0") {
      $0.version = "{\"major\":9,\"minor\":0}"
    },
    .init("a version that is text", says: "schema_version.major") {
      $0.version = "{\"major\":\"8\",\"minor\":20}"
    },
    .init("no version", says: "schema_version") { $0.version = "null" },
    .init("another format", .unsupported, says: "format \"pt3\"") { $0.format = "pt3" },
    .init("two formats", says: "2 members called archive_format") {
      $0.more = [("x/archive_format", "pt2")]
    },
    .init("a byte order of neither kind", says: "\"middle\"") { $0.order = "middle" },
    .init("no graph", .unsupported, says: "without a graph") { $0.modelName = "models/model.txt" },
    .init("two graphs", .unsupported, says: "several graphs") {
      $0.more = [("models/other.json", "{}")]
    },
    .init("weights that are no archive", .truncated, says: "data/weights/model.pt") {
      $0.more = [("data/weights/model.pt", "x")]
    },
    .init("a pickled tensor", .unsupported, says: "is a pickle") {
      $0.weights = stored(Parts.weight("[2,2]", "[2,1]", "0"), "\"use_pickle\":true")
    },
    .init("no word of a pickle", .unsupported, says: "is a pickle") {
      $0.weights = stored(Parts.weight("[2,2]", "[2,1]", "0"), "\"other\":false")
    },
    .init("no list of weights", .missing, says: "no list of the weights") {
      $0.weightsName = "data/weights/other.json"
    },
    .init("weights that are a list", says: "config") { $0.weights = "\"w\":[]" },
    .init("a member that is not there", .missing, says: "weight_9") {
      $0.weights = $0.weights.replacing("weight_0", with: "weight_9")
    },
    .init("a member elsewhere", says: "path_name") {
      $0.weights = $0.weights.replacing("weight_0", with: "../weight_0")
    },
    .init("a payload that is too short", says: "16 bytes") {
      $0.weights = stored(Parts.weight("[2,3]", "[3,1]", "0"))
    },
    .init("an offset beyond the payload", says: "from 1 on") {
      $0.weights = stored(Parts.weight("[2,2]", "[2,1]", "1"))
    },
    .init("an offset of no size", says: "whose extent fits") {
      $0.weights = stored(Parts.weight("[2,2]", "[2,1]", "-1"))
    },
    .init("strides that overflow", says: "strides") {
      $0.weights = stored(Parts.weight("[2,2]", "[9223372036854775807,9223372036854775807]", "0"))
    },
    .init("negative strides", says: "strides of another form") {
      $0.weights = stored(Parts.weight("[2,2]", "[-2,1]", "0"))
    },
    .init("sizes that overflow", says: "sizes") {
      $0.weights = stored(
        Parts.weight("[4294967296,4294967296,4]", "[0,0,0]", "0"))
    },
    .init("a bomb of repeated values", .limitExceeded, says: "repeated") {
      $0.weights = stored(Parts.weight("[1000000,1000000]", "[0,0]", "0"))
    },
    .init("more sizes than strides", says: "strides") {
      $0.weights = stored(Parts.weight("[2,2]", "[1]", "0"))
    },
    .init("a type that is not known", .unsupported, says: "type 99") {
      $0.weights = stored(Parts.weight("[2,2]", "[2,1]", "0", dtype: 99))
    },
    .init("a sparse weight", .unsupported, says: "layout 1") {
      $0.weights = stored(Parts.weight("[2,2]", "[2,1]", "0", layout: 1))
    },
    .init("a list that is no JSON", says: "JSON") { $0.weights = "\"w\"" },
    .init("a graph that is no JSON", .truncated, says: "JSON") { $0.graph = "{" },
    .init("a graph that is a list", says: "schema_version") { $0.graph = "[]" },
    .init("nodes that are none", says: "node 0") { $0.nodes = "3" },
    .init("an operation without a name", says: "target") {
      $0.nodes = node(read, made, target: "7")
    },
    .init("a value that nobody makes", says: "\"ghost\"") {
      $0.nodes = node(Parts.argument("self", "as_tensor", "{\"name\":\"ghost\"}"), made)
    },
    .init("a value that reads itself", says: "\"add\"") {
      $0.nodes = node(Parts.argument("self", "as_tensor", "{\"name\":\"add\"}"), made)
    },
    .init("a cycle of two", says: "\"b\"") {
      $0.nodes =
        node(
          Parts.argument("self", "as_tensor", "{\"name\":\"b\"}"),
          "{\"as_tensor\":{\"name\":\"add\"}}")
        + ","
        + node(
          Parts.argument("self", "as_tensor", "{\"name\":\"add\"}"),
          "{\"as_tensor\":{\"name\":\"b\"}}")
    },
    .init("a value made twice", says: "a second time") {
      $0.nodes = node(read, made) + "," + node(read, made)
    },
    .init("an input made again", says: "a second time") {
      $0.nodes = node(read, "{\"as_tensor\":{\"name\":\"x\"}}")
    },
    .init("an argument twice", says: "a second time") { $0.nodes = node(read + "," + read, made) },
    .init("an argument of two kinds", says: "one member") {
      $0.nodes = node(
        "{\"name\":\"self\",\"arg\":{\"as_int\":1,\"as_float\":2.0}}", made)
    },
    .init("an integer that is text", says: "an integer") {
      $0.nodes = node(Parts.argument("dim", "as_int", "\"1\""), made)
    },
    .init("integers that are one", says: "a list") {
      $0.nodes = node(Parts.argument("dim", "as_ints", "1"), made)
    },
    .init("a number that is none", says: "a number") {
      $0.nodes = node(Parts.argument("p", "as_float", "\"one\""), made)
    },
    .init("a result that is not there", says: "\"ghost\"") {
      $0.outputs = "{\"user_output\":{\"arg\":{\"as_tensor\":{\"name\":\"ghost\"}}}}"
    },
    .init("a tensor of an unknown type", .unsupported, says: "type 77") {
      $0.values = "\"x\":\(Parts.meta("[1,3,2,2]", dtype: 77))"
    },
    .init("a negative extent", says: "extent") { $0.values = "\"x\":\(Parts.meta("[1,-3,2,2]"))" },
    .init("a hundred axes", says: "100 axes") {
      $0.values =
        "\"x\":"
        + Parts.meta("[" + [String](repeating: "1", count: 100).joined(separator: ",") + "]")
    },
    .init("inputs of no kind", says: "input 0") { $0.inputs = "{}" },
    .init("a parameter without a tensor", says: "parameter_name") {
      $0.inputs = "{\"parameter\":{\"arg\":{\"name\":\"p_w\"}}}"
    },
    .init("a graph nested without end", .limitExceeded, says: "nested") {
      $0.graph = String(repeating: "[", count: 100_000)
    },
  ]

  @Test(arguments: cases)
  func refuses(_ one: Case) throws {
    var parts = Parts()
    one.change(&parts)
    let error = failure {
      for tensor in try open(parts.bytes()).tensors { _ = try tensor.floats() }
    }
    #expect(error?.kind == one.kind, "\(error?.description ?? "accepted")")
    #expect(error?.description.contains(one.says) == true, "\(error?.description ?? "accepted")")
  }

  @Test func cutAnywhereIsRefused() {
    let whole = Parts().bytes()
    for length in stride(from: 0, to: whole.count, by: 7) {
      #expect(failure { _ = try open(Array(whole[..<length])) } != nil, "\(length) bytes")
    }
  }
}
