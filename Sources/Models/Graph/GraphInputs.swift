import Checkpoints
import Tensors

/// What a graph is given: images, and the tensors of its file.
extension GraphCompiler {
  /// Gives a value to every input: the images, one by one, and what stands in the file by its name.
  func defineInputs() throws(ModelError) {
    func failure(_ found: String, _ expected: String) -> ModelError {
      ModelError(
        .unexpected, place: checkpoint.path, found: found, expected: expected,
        advice: "Export the model with one batch of images as its only argument")
    }
    var users: [String] = []
    for input in program.inputs {
      switch input {
      case .user(let name): users.append(name)
      case .parameter(let name, let tensor):
        operands[name] = .stored(try stored(tensor, isParameter: true, isConstant: false))
      case .buffer(let name, let tensor):
        operands[name] = .stored(try stored(tensor, isParameter: false, isConstant: false))
      case .constant(let name, let tensor):
        operands[name] = .stored(try stored(tensor, isParameter: false, isConstant: true))
      case .fixed(let name, let value):
        operands[name] = try? operand(value)
      case .other(_, let kind): throw failure("an input that is \(kind)", "images alone")
      }
    }
    guard let images = users.first, users.count == 1 else {
      throw failure("\(users.count) input tensors", "one, of images")
    }
    guard let value = program.values[images] else {
      throw failure("an input without extents", "images [N, C, H, W]")
    }
    var extents: [Int] = []
    for (axis, size) in value.sizes.enumerated() {
      switch size {
      case .fixed(let extent): extents.append(extent)
      case .symbolic where axis == 0: extents.append(0)
      case .symbolic(let text):
        throw failure(
          "images whose axis \(axis) was left open (\(text))", "a number of rows and of columns")
      }
    }
    guard extents.count == 4, value.dtype.isFloatingPoint,
      extents.dropFirst().allSatisfy({ $0 > 0 })
    else {
      throw failure("an input of shape \(extents), \(value.dtype)", "images [N, C, H, W] of floats")
    }
    if case .fixed(let images) = value.sizes[0] {
      guard images > 0 else { throw failure("a batch of no images", "one image or more") }
      exportedImages = images
    } else if case .onnx = program.writer {
      (exportedImages, isOpen) = (standIn, true)
    }
    extents[0] = 1
    shapes = [Tensor(abstract: Shape([1, extents[2], extents[3], extents[1]]), meter: meter)]
    operands[images] = .value(
      GraphValue(slot: 0, dimensions: extents, order: [0, 2, 3, 1], batchAxis: 0))
  }

  private func stored(
    _ name: String, isParameter: Bool, isConstant: Bool
  ) throws(ModelError) -> StoredTensor {
    guard let entry = checkpoint[name] else {
      throw ModelError(
        .missing, place: "\(checkpoint.path): tensor \"\(name)\"", found: "no such tensor",
        expected: "one, as the graph is given it")
    }
    return StoredTensor(entry: entry, isParameter: isParameter, isConstant: isConstant)
  }
}
