import Checkpoints
import Models
import Tensors
import TestSupport
import Testing

private typealias Parts = ONNXBuilder

/// ONNX graphs that are sound, and ask for something that is not done.
@Suite struct ONNXRefusalTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let says: String
    let change: @Sendable (inout ONNXBuilder) -> Void

    init(_ name: String, says: String, _ change: @escaping @Sendable (inout ONNXBuilder) -> Void) {
      (self.name, self.says, self.change) = (name, says, change)
    }

    var testDescription: String { name }
  }

  private static func second(
    _ operation: String, _ attributes: [[UInt8]] = [], inputs: [String] = ["sum"],
    more: [UInt8] = []
  ) -> [UInt8] {
    Parts.node(operation, inputs, ["y"], "/b/c/\(operation)", attributes, more: more)
  }

  static let cases: [Case] = [
    .init("an unknown operation", says: "onnx.Gru9 in b.c") { $0.nodes[1] = second("Gru9") },
    .init("a graph within the graph", says: "onnx.If in b.c") {
      $0.nodes[1] = second(
        "If", [Parts.text(1, "then_branch") + Parts.bytes(6, []) + Parts.number(20, 5)])
    },
    .init("another domain", says: "com.microsoft::Gelu in b.c") {
      $0.nodes[1] = second("Gelu", more: Parts.text(7, "com.microsoft"))
    },
    .init("a domain that looks like PyTorch's", says: "aten::relu in b.c") {
      $0.nodes[1] = second("relu", more: Parts.text(7, "aten"))
    },
    .init("an attribute that is not known", says: "the attribute \"slope\"") {
      $0.nodes[1] = second("Relu", [Parts.attribute("slope", 1)])
    },
    .init("an input that is not known", says: "input 1") {
      $0.nodes[1] = second("Relu", inputs: ["sum", "w"])
    },
    .init("an attribute of another kind", says: "\"axis\" of another kind") {
      $0.nodes[1] = second("Softmax", [Parts.attribute("axis", [1])])
    },
    .init("a shape that lies", says: "as the file says") {
      $0.outputs = [Parts.value("y", [1, 3, 2, 3])]
    },
    .init("a shape within the graph that lies", says: "onnx.Add in a") {
      $0.graph = Parts.bytes(13, Parts.value("sum", [1, 3, 4, 2]))
    },
    .init("images of whole numbers", says: "U8") {
      $0.inputs = [Parts.value("x", [1, 3, 2, 2], type: 2)]
    },
    .init("two inputs", says: "2 input tensors") { $0.inputs.append(Parts.value("z", [1])) },
    .init("an input without extents", says: "without extents") { $0.inputs = [Parts.text(1, "x")] },
    .init("open columns", says: "axis 3 was left open (width)") {
      let open =
        [1, 3, 2].flatMap { Parts.bytes(1, Parts.number(1, $0)) }
        + Parts.bytes(1, Parts.text(2, "width"))
      $0.inputs = [
        Parts.text(1, "x")
          + Parts.bytes(2, Parts.bytes(1, Parts.number(1, 1) + Parts.bytes(2, open)))
      ]
    },
    .init("weights that do not fit", says: "onnx.Add in a") {
      $0.initializers = [Parts.tensor("w", [5], raw: [UInt8](repeating: 0, count: 20))]
    },
    .init("images in a row of a shape", says: "onnx.Reshape in b.c") {
      $0.initializers.append(Parts.tensor("s", [1], type: 7, more: Parts.number(7, 1 << 62)))
      $0.nodes[1] = second("Reshape", inputs: ["sum", "s"])
    },
    .init("a permutation that is none", says: "onnx.Transpose in b.c") {
      $0.nodes[1] = second("Transpose", [Parts.attribute("perm", [0, 0, 1, 9])])
    },
    .init("a window of no extent", says: "onnx.MaxPool in b.c") {
      $0.nodes[1] = second("MaxPool", [Parts.attribute("kernel_shape", [0, -1])])
    },
    .init("a range without end", says: "a range of") {
      for (name, value) in [("from", 0), ("to", 1 << 60), ("by", 1)] {
        $0.initializers.append(Parts.tensor(name, [], type: 7, more: Parts.number(7, value)))
      }
      $0.nodes.insert(Parts.node("Range", ["from", "to", "by"], ["r"]), at: 1)
      $0.nodes[2] = second("Add", inputs: ["sum", "r"])
    },
    .init("a table without end", says: "a table of shape") {
      $0.initializers.append(
        Parts.tensor("s", [2], type: 7, more: Parts.bytes(7, [255, 255, 127, 255, 255, 127])))
      $0.nodes.insert(Parts.node("ConstantOfShape", ["s"], ["t"]), at: 1)
      $0.nodes[2] = second("Add", inputs: ["sum", "t"])
    },
  ]

  /// What a function may be a part of is looked for a few operations around it, however many there are.
  @Test func longChainsAreNotFollowed() throws {
    var parts = Parts()
    let last = 3000
    // Ones.
    parts.initializers = [
      Parts.tensor(
        "w", [2, 2], raw: [[UInt8]](repeating: [0, 0, 128, 63], count: 4).flatMap(\.self))
    ]
    parts.nodes = [Parts.node("Sigmoid", ["x"], ["s"], "/a/Sigmoid")]
    for index in 1...last {
      let before = index == 1 ? "w" : "c\(index - 1)"
      parts.nodes.append(Parts.node("Sub", [before, "w"], ["c\(index)"], "/a/Sub_\(index)"))
    }
    parts.nodes.append(Parts.node("Mul", ["s", "c\(last)"], ["y"], "/a/Mul"))
    let scratch = Scratch()
    let checkpoint = try Checkpoint.open(scratch.write(parts.bytes, as: "m.onnx"))
    let loaded = try GraphLoader.load(checkpoint, #require(checkpoint.program)) { $0 == $1 }
    let output = loaded.network(Tensor(repeating: 0, shape: [1, 2, 2, 3]))
    #expect(output.values.allSatisfy { $0 == 0.5 * Float(1 - last) })
  }

  /// The number of images, which was left open, as a factor.
  @Test func valuesDoNotDependOnTheNumberOfImages() throws {
    var parts = Parts()
    let open =
      Parts.bytes(1, Parts.text(2, "batch"))
      + [3, 2, 2].flatMap { Parts.bytes(1, Parts.number(1, $0)) }
    let tensor = Parts.bytes(1, Parts.number(1, 1) + Parts.bytes(2, open))
    parts.inputs = [Parts.text(1, "x") + Parts.bytes(2, tensor)]
    parts.outputs = [Parts.text(1, "y") + Parts.bytes(2, tensor)]
    let scratch = Scratch()
    func load() throws {
      let checkpoint = try Checkpoint.open(scratch.write(parts.bytes, as: "m.onnx"))
      _ = try GraphLoader.load(checkpoint, #require(checkpoint.program)) { $0 == $1 }
    }
    try load()
    parts.initializers.append(Parts.tensor("zero", [], type: 7, more: Parts.number(7, 0)))
    parts.nodes = [
      Parts.node("Shape", ["x"], ["s"]), Parts.node("Gather", ["s", "zero"], ["n"]),
      Parts.node("Cast", ["n"], ["f"], "", [Parts.attribute("to", 1)]),
      Parts.node("Mul", ["x", "f"], ["sum"]), parts.nodes[1],
    ]
    let error = #expect(throws: ModelError.self) { try load() }
    #expect(error?.found == "values that depend on the number of images")
  }

  @Test(arguments: cases)
  func refuses(_ one: Case) throws {
    var parts = Parts()
    one.change(&parts)
    let scratch = Scratch()
    let checkpoint = try Checkpoint.open(scratch.write(parts.bytes, as: "m.onnx"))
    let program = try #require(checkpoint.program)
    do {
      _ = try GraphLoader.load(checkpoint, program) { $0 == $1 }
      Issue.record("accepted")
    } catch {
      #expect(error.description.contains(one.says), "\(error.description)")
    }
  }

  /// Bytes changed at random, always in the same way: a mutant is refused or becomes a network, and does not trap.
  @Test(arguments: [
    ("graph-twice-legacy", 60), ("graph-functions-legacy", 40), ("graph-twice-dynamo", 60),
    ("onnx-operations", 12),
  ])
  func mutantsAreLoadedOrRefused(_ name: String, _ count: Int) throws {
    let whole = try #require(Scratch.read(Fixture.folder + name + ".onnx"))
    var generator = SeededGenerator(state: 1)
    let scratch = Scratch()
    var refused = 0
    for _ in 0..<count {
      var mutant = whole
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        mutant[Int.random(in: 0..<mutant.count, using: &generator)] = UInt8.random(
          in: 0...255, using: &generator)
      }
      do {
        let checkpoint = try Checkpoint.open(scratch.write(mutant, as: "m.onnx"))
        _ = try GraphLoader.load(checkpoint, #require(checkpoint.program)) { $0 == $1 }
      } catch {
        #expect(error is CheckpointError || error is ModelError, "\(error)")
        refused += 1
      }
    }
    #expect(refused > 0)
  }

  @Test func theWholeIsRead() throws {
    let scratch = Scratch()
    let checkpoint = try Checkpoint.open(scratch.write(Parts().bytes, as: "m.onnx"))
    let loaded = try GraphLoader.load(checkpoint, try #require(checkpoint.program)) { $0 == $1 }
    #expect(loaded.report.architecture == "graph(2 operations of pytorch 2.15.0)")
  }
}
