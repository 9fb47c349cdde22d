import Checkpoints

/// What an argument of an operation amounts to.
enum GraphOperand {
  case none
  /// A tensor of the engine.
  case value(GraphValue)
  /// Values that are known.
  case known(HostArray)
  /// A parameter or buffer that nothing was computed of yet.
  case stored(StoredTensor)
  case number(GraphNumber)
  case bool(Bool)
  case text(String)
  case kind(HostArray.Kind?)
  case list([GraphOperand])
  /// What is of no account to values: a device, a memory format.
  case placement
  /// Something that the reader kept by its name alone.
  case other(String)

  /// What it is, for messages.
  var title: String {
    switch self {
    case .none: "none"
    case .value(let value): "a tensor \(value.text)"
    case .known(let array): "a constant tensor \(array.shape)"
    case .stored(let stored): "the tensor \(stored.entry.name) \(stored.entry.shape)"
    case .number(.int(let value)): "\(value)"
    case .number(.real(let value)): "\(value)"
    case .number(.perImage(let value)): "\(value) times the number of images"
    case .bool(let value): "\(value)"
    case .text(let text): "\"\(text)\""
    case .kind: "a type"
    case .list(let items): "a list of \(items.count)"
    case .placement: "a device or memory format"
    case .other(let kind): kind
    }
  }

  /// The extents as PyTorch sees them, of one image; nil for what is no tensor.
  var dimensions: [Int]? {
    switch self {
    case .value(let value): value.dimensions
    case .known(let array): array.shape
    case .stored(let stored): stored.entry.shape
    default: nil
    }
  }

  var isTensor: Bool { dimensions != nil }
}

/// A tensor of the file as the graph is given it.
struct StoredTensor {
  let entry: TensorEntry
  /// Whether it is differentiated by.
  let isParameter: Bool
  /// Whether a part of the code, rather than of the model's state.
  let isConstant: Bool
}
