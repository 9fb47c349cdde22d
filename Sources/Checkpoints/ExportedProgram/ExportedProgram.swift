/// A network as an exporter wrote it: operations in the order in which they are carried out, each with its arguments,
/// the modules that it stands in, and where the tensors come from.
///
/// Every value has one name and is made before it is used.
public struct ExportedProgram: Sendable {
  /// The member of the archive that holds the graph.
  public let member: String
  /// Who wrote it, and in which language.
  public let writer: Writer
  /// What the graph is given, in order.
  public let inputs: [Input]
  /// What it gives, in order.
  public let outputs: [Output]
  /// Its operations, in order.
  public let nodes: [Node]
  /// Type and extents of every tensor by name.
  public let values: [String: Value]
  /// The names of `named_modules()`, without the root.
  public let modules: [String]

  /// The same graph of other operations.
  public func with(nodes: [Node]) -> ExportedProgram {
    ExportedProgram(
      member: member, writer: writer, inputs: inputs, outputs: outputs, nodes: nodes,
      values: values, modules: modules)
  }

  /// The most operations that a graph may have: far beyond the largest network, and few enough for all that is done
  /// with them.
  static let maximumNodes = 200_000

  /// Who wrote a graph, and what its operations are those of.
  public enum Writer: Sendable, Equatable {
    /// `torch.export`: its version, and that of the file's schema, `major.minor`.
    case torch(version: String, schema: String)
    /// An exporter to ONNX with its version, and the version of the operations.
    case onnx(producer: String, opset: Int)

    /// The program, for readers.
    public var program: String {
      switch self {
      case .torch(let version, _): "PyTorch \(version)"
      case .onnx(let producer, _): producer
      }
    }

    /// The language, for readers.
    public var language: String {
      switch self {
      case .torch(_, let schema): "schema \(schema)"
      case .onnx(_, let opset): "ONNX, opset \(opset)"
      }
    }
  }

  /// The type and extents of a tensor.
  public struct Value: Sendable, Equatable {
    /// The type of the elements.
    public let dtype: ElementType
    /// The extents.
    public let sizes: [Extent]

    /// Whether all extents are numbers.
    var isFixed: Bool {
      sizes.allSatisfy { if case .fixed = $0 { true } else { false } }
    }
  }

  /// An extent: a number, or an expression of what was left open at export.
  public enum Extent: Sendable, Equatable {
    /// A number.
    case fixed(Int)
    /// An expression such as `s77`.
    case symbolic(String)
  }

  /// What the graph is given.
  public enum Input: Sendable, Equatable {
    /// A tensor that the caller gives.
    case user(String)
    /// A parameter: the name of its value, and that of the tensor in the file.
    case parameter(String, tensor: String)
    /// A buffer: the name of its value, and that of the tensor in the file.
    case buffer(String, tensor: String)
    /// A tensor that stood in the code: the name of its value, and that of the tensor in the file.
    case constant(String, tensor: String)
    /// An argument that was fixed at export.
    case fixed(String, Argument)
    /// Anything else, named as the schema does.
    case other(String, kind: String)
  }

  /// What the graph gives.
  public enum Output: Sendable, Equatable {
    /// A result: its value, and what the caller knows it by, if that has a name.
    case user(Argument, key: String?)
    /// Anything else, named as the schema does: a change of a buffer, say.
    case other(kind: String)
  }

  /// One operation.
  public struct Node: Sendable, Equatable {
    /// Which: `aten.conv2d.default`.
    public let target: String
    /// Its arguments by the names of the operation's schema; those left out have their defaults.
    public let arguments: [NamedArgument]
    /// The values that it makes.
    public let outputs: [Argument]
    /// The calls of modules that it stands in, outermost first, the root left out.
    public let modules: [ModuleCall]

    /// An operation of its parts.
    public init(
      target: String, arguments: [NamedArgument], outputs: [Argument], modules: [ModuleCall]
    ) {
      (self.target, self.arguments) = (target, arguments)
      (self.outputs, self.modules) = (outputs, modules)
    }

    /// The innermost module's name; empty for the root.
    public var module: String { modules.last?.module ?? "" }
  }

  /// An argument with its name.
  public struct NamedArgument: Sendable, Equatable {
    /// The name in the operation's schema.
    public let name: String
    /// Its value.
    public let value: Argument

    /// An argument of its parts.
    public init(name: String, value: Argument) { (self.name, self.value) = (name, value) }
  }

  /// One call of a module.
  public struct ModuleCall: Sendable, Hashable {
    /// The name that `named_modules()` gives the module.
    public let module: String
    /// How often it was called before.
    public let call: Int
    /// Its class, `torch.nn.modules.conv.Conv2d`.
    public let type: String
  }

  /// The value of an argument.
  public indirect enum Argument: Sendable, Equatable {
    /// None.
    case none
    /// The tensor of a name.
    case tensor(String)
    /// A number, or another scalar, computed in the graph.
    case symbol(String)
    /// A whole number.
    case int(Int)
    /// A real number.
    case real(Double)
    /// A truth value.
    case bool(Bool)
    /// Text.
    case string(String)
    /// A type of elements; nil for one that no file of tensors has.
    case dtype(ElementType?)
    /// Several values.
    case list([Argument])
    /// What is of no account to the values: a device, a memory format.
    case placement
    /// Anything else, named as the schema does.
    case other(kind: String)
  }
}
