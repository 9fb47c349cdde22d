/// Reads a pickle (protocols 0 to 5) into a ``PickleGraph`` without running any of it.
///
/// Opcodes are those of CPython's `pickletools`. Extension codes and out-of-band buffers, which
/// torch never writes, are refused.
struct PickleReader {
  /// Arrays may stand in a pickle; what is unpacked from less has to be smaller.
  static let maximumSize = 1 << 30
  static let maximumUnpackedSize = 64 << 20
  static let maximumOpcodes = 1_000_000
  private static let maximumName = 1024

  private typealias Reference = PickleGraph.Reference

  private let bytes: UnsafeRawBufferPointer
  private let file: String
  private let place: String
  private var graph = PickleGraph()
  private let start: Int
  private var position: Int
  private var opcodeStart = 0
  private var stack: [Reference] = []
  private var marks: [Int] = []
  private var memo: [UInt32: Reference] = [:]
  private var copied = 0
  private var globalPlaces: [PickleGraph.Global: Int32] = [:]

  /// - Parameters:
  ///   - start: where the pickle starts.
  ///   - place: what holds the pickle, for errors.
  init(_ bytes: UnsafeRawBufferPointer, at start: Int = 0, file: String, place: String) {
    self.bytes = bytes
    self.start = start
    position = start
    self.file = file
    self.place = place
  }

  /// Where the pickle ended.
  var end: Int { position }

  /// Reads the pickle.
  ///
  /// - Parameter isWhole: whether nothing may follow it.
  mutating func read(isWhole: Bool = true) throws(CheckpointError) -> PickleGraph {
    var opcodes = 0
    while true {
      opcodeStart = position
      opcodes += 1
      guard position - start <= Self.maximumSize else {
        throw CheckpointError(
          .limitExceeded, file: file, place: place, found: "a pickle of more bytes",
          expected: "at most \(Self.maximumSize)",
          advice: "Save the state dict alone, without the rest of the training state")
      }
      guard opcodes <= Self.maximumOpcodes else {
        throw CheckpointError(
          .limitExceeded, file: file, place: place,
          found: "more than \(Self.maximumOpcodes) pickle operations", expected: "fewer",
          advice: "Save the state dict alone, without the rest of the training state")
      }
      let opcode = try byte()
      if opcode == UInt8(ascii: ".") {
        graph.root = try pop()
        guard !isWhole || position == bytes.count else {
          throw failure("\(bytes.count - position) bytes after the end", "nothing after it")
        }
        return graph
      }
      try execute(opcode)
    }
  }

  // MARK: Operations

  private mutating func execute(_ opcode: UInt8) throws(CheckpointError) {
    switch opcode {
    // Protocol and framing
    case 0x80:
      guard try byte() <= 5 else { throw failure("an unknown protocol", "protocols 0 to 5") }
    case 0x95:
      let length = try unsigned(UInt64.self)
      guard length <= UInt64(bytes.count - position) else {
        throw failure("a frame of \(length) bytes", "one that ends within the pickle")
      }

    // Stack
    case UInt8(ascii: "("): marks.append(stack.count)
    case UInt8(ascii: "0"):
      if let mark = marks.last, mark == stack.count { marks.removeLast() } else { _ = try pop() }
    case UInt8(ascii: "1"): _ = try popToMark()
    case UInt8(ascii: "2"): stack.append(try top())

    // Constants and numbers
    case UInt8(ascii: "N"): push(.none)
    case 0x88: push(.bool(true))
    case 0x89: push(.bool(false))
    case UInt8(ascii: "J"):
      push(.integer(Int(Int32(bitPattern: try unsigned(UInt32.self)))))
    case UInt8(ascii: "K"): push(.integer(Int(try byte())))
    case UInt8(ascii: "M"): push(.integer(Int(try unsigned(UInt16.self))))
    case UInt8(ascii: "I"): try pushInteger(line(), allowsBool: true)
    case UInt8(ascii: "L"): try pushInteger(line(), allowsBool: false)
    case 0x8A: pushLong(try take(Int(try byte())))
    case 0x8B: pushLong(try take(exactly: try unsigned(UInt32.self)))
    case UInt8(ascii: "F"):
      let text = try line()
      guard let value = Double(text) else { throw failure("the number \"\(text)\"", "a float") }
      push(.double(value))
    case UInt8(ascii: "G"):
      push(.double(Double(bitPattern: try unsigned(UInt64.self).byteSwapped)))

    // Text and bytes
    case UInt8(ascii: "X"): try pushText(take(exactly: unsigned(UInt32.self)))
    case 0x8C: try pushText(take(Int(byte())))
    case 0x8D: try pushText(take(exactly: unsigned(UInt64.self)))
    case UInt8(ascii: "V"): push(.string(try line()))
    case UInt8(ascii: "S"): push(.string(try quoted(line())))
    case UInt8(ascii: "T"): pushLegacyText(try take(exactly: try unsigned(UInt32.self)))
    case UInt8(ascii: "U"): pushLegacyText(try take(Int(try byte())))
    case UInt8(ascii: "B"): push(.bytes(Array(try take(exactly: try unsigned(UInt32.self)))))
    case UInt8(ascii: "C"): push(.bytes(Array(try take(Int(try byte())))))
    case 0x8E, 0x96: push(.bytes(Array(try take(exactly: try unsigned(UInt64.self)))))

    // Containers
    case UInt8(ascii: ")"): push(.tuple([]))
    case UInt8(ascii: "t"): push(.tuple(try popToMark()))
    case 0x85: push(.tuple(try pop(1)))
    case 0x86: push(.tuple(try pop(2)))
    case 0x87: push(.tuple(try pop(3)))
    case UInt8(ascii: "]"): push(.list([]))
    case UInt8(ascii: "l"): push(.list(try popToMark()))
    case UInt8(ascii: "}"): push(.dictionary([]))
    case UInt8(ascii: "d"): push(.dictionary(try pairs(popToMark())))
    case 0x8F: push(.set([]))
    case 0x91: push(.set(try popToMark()))
    case UInt8(ascii: "a"): try extend(with: pop(1), isDictionary: false)
    case UInt8(ascii: "e"), 0x90: try extend(with: popToMark(), isDictionary: false)
    case UInt8(ascii: "s"): try extend(with: pop(2), isDictionary: true)
    case UInt8(ascii: "u"): try extend(with: pairs(popToMark()), isDictionary: true)

    // Memo
    case UInt8(ascii: "q"): memo[UInt32(try byte())] = try top()
    case UInt8(ascii: "r"): memo[try unsigned(UInt32.self)] = try top()
    case UInt8(ascii: "p"): memo[try index(line())] = try top()
    case 0x94: memo[UInt32(memo.count)] = try top()
    case UInt8(ascii: "h"): try recall(UInt32(byte()))
    case UInt8(ascii: "j"): try recall(unsigned(UInt32.self))
    case UInt8(ascii: "g"): try recall(index(line()))

    // Names, objects, calls: recorded, never carried out
    case UInt8(ascii: "c"): try pushGlobal(module: line(), name: line())
    case 0x93:
      let names = try pop(2)
      guard let module = graph.string(names[0]), let name = graph.string(names[1]) else {
        throw failure("a name that is not text", "two strings")
      }
      try pushGlobal(module: module, name: name)
    case UInt8(ascii: "R"), 0x81:
      let parts = try pop(2)
      try construct(parts[0], arguments: parts[1])
    case 0x92:
      let parts = try pop(3)
      try construct(parts[0], arguments: parts[1])
      graph.attached[try top(), default: []].append(parts[2])
    case UInt8(ascii: "o"):
      var parts = try popToMark()
      guard !parts.isEmpty else { throw failure("an object without a class", "its class") }
      let function = parts.removeFirst()
      try construct(function, arguments: make(.tuple(parts)))
    case UInt8(ascii: "i"):
      let (module, name) = (try line(), try line())
      let arguments = make(.tuple(try popToMark()))
      try pushGlobal(module: module, name: name)
      try construct(pop(), arguments: arguments)
    case UInt8(ascii: "b"):
      let state = try pop()
      graph.attached[try top(), default: []].append(state)
    case UInt8(ascii: "Q"): push(.persistent(try pop()))
    case UInt8(ascii: "P"): push(.persistent(make(.string(try line()))))

    case 0x82, 0x83, 0x84:
      throw failure("an extension code", "names in full, as torch.save writes them")
    case 0x97, 0x98:
      throw failure("a buffer outside of the pickle", "none, as torch.save writes none")
    default:
      throw failure("the unknown operation 0x\(String(opcode, radix: 16))", "a pickle operation")
    }
  }

  // MARK: Nodes

  private mutating func make(_ node: PickleGraph.Node) -> Reference {
    graph.nodes.append(node)
    // At most a few nodes an operation, and the number of operations is bounded.
    return Reference(graph.nodes.count - 1)
  }

  private mutating func push(_ node: PickleGraph.Node) { stack.append(make(node)) }

  private mutating func pushGlobal(module: String, name: String) throws(CheckpointError) {
    guard module.utf8.count <= Self.maximumName, name.utf8.count <= Self.maximumName else {
      throw failure("a name of \(module.utf8.count + name.utf8.count) bytes", "a shorter one")
    }
    let global = PickleGraph.Global(module: module, name: name)
    let index = globalPlaces[global] ?? Int32(graph.globals.count)
    if globalPlaces.updateValue(index, forKey: global) == nil { graph.globals.append(global) }
    push(.global(index))
  }

  /// Records a call; dictionaries of the standard library become plain ones.
  private mutating func construct(
    _ function: Reference, arguments: Reference
  ) throws(CheckpointError) {
    guard let items = graph.tuple(arguments) else {
      throw failure("arguments that are \(graph.kindName(arguments))", "a tuple")
    }
    if let global = graph.global(function), global.module == "collections" {
      if global.name == "OrderedDict" {
        // Python 2 passes the items as a list of pairs.
        var content: [Reference] = []
        if let first = items.first, case .list(let pairs) = graph[first] {
          for pair in pairs {
            switch graph[pair] {
            case .list(let both) where both.count == 2, .tuple(let both) where both.count == 2:
              // One list may be copied by many calls: the sum is bounded, not each.
              copied += 1
              guard copied <= Self.maximumOpcodes else {
                throw CheckpointError(
                  .limitExceeded, file: file, place: place,
                  found: "more than \(Self.maximumOpcodes) items of dictionaries",
                  expected: "fewer")
              }
              content += both
            default: throw failure("an OrderedDict of something else", "pairs")
            }
          }
        }
        return push(.dictionary(content))
      }
      if global.name == "defaultdict" { return push(.dictionary([])) }
    }
    push(.call(function: function, arguments: arguments))
  }

  private mutating func extend(
    with items: [Reference], isDictionary: Bool
  ) throws(CheckpointError) {
    let target = try top()
    if graph.nodes[Int(target)].append(items, isDictionary: isDictionary) { return }
    guard case .call = graph[target] else {
      throw failure("items for \(graph.kindName(target))", "a list, set or dictionary")
    }
    graph.attached[target, default: []] += items
  }

  private func pairs(_ items: [Reference]) throws(CheckpointError) -> [Reference] {
    guard items.count.isMultiple(of: 2) else {
      throw failure("a key without a value", "keys and values in turn")
    }
    return items
  }

  // MARK: Stack

  private func top() throws(CheckpointError) -> Reference {
    guard stack.count > marks.last ?? 0, let last = stack.last else {
      throw failure("an empty stack", "a value on it")
    }
    return last
  }

  private mutating func pop() throws(CheckpointError) -> Reference {
    let last = try top()
    stack.removeLast()
    return last
  }

  private mutating func pop(_ count: Int) throws(CheckpointError) -> [Reference] {
    guard stack.count - (marks.last ?? 0) >= count else {
      throw failure("too few values on the stack", "\(count)")
    }
    defer { stack.removeLast(count) }
    return Array(stack.suffix(count))
  }

  private mutating func popToMark() throws(CheckpointError) -> [Reference] {
    guard let mark = marks.popLast() else { throw failure("no mark on the stack", "one") }
    defer { stack.removeSubrange(mark...) }
    return Array(stack[mark...])
  }

  private mutating func recall(_ index: UInt32) throws(CheckpointError) {
    guard let value = memo[index] else {
      throw failure("a reference to memo \(index)", "one that was stored before")
    }
    stack.append(value)
  }

  // MARK: Arguments

  private mutating func byte() throws(CheckpointError) -> UInt8 { try unsigned(UInt8.self) }

  private mutating func unsigned<T: FixedWidthInteger>(
    _ type: T.Type
  ) throws(CheckpointError) -> T {
    guard let value = bytes.littleEndian(type, at: position) else { throw endFailure() }
    position += MemoryLayout<T>.size
    return value
  }

  private mutating func take(_ count: Int) throws(CheckpointError) -> UnsafeRawBufferPointer {
    guard let part = bytes.part(at: position, length: count) else { throw endFailure() }
    position += count
    return part
  }

  private mutating func take(
    exactly count: some FixedWidthInteger
  ) throws(CheckpointError) -> UnsafeRawBufferPointer {
    guard let count = Int(exactly: count) else { throw endFailure() }
    return try take(count)
  }

  private mutating func line() throws(CheckpointError) -> String {
    guard let end = bytes[position...].firstIndex(of: 0x0A) else { throw endFailure() }
    let text = UnsafeRawBufferPointer(rebasing: bytes[position..<end]).utf8Text
    guard let text else { throw failure("text that is not UTF-8", "UTF-8") }
    position = end + 1
    return text
  }

  private mutating func pushText(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
    guard let text = bytes.utf8Text else { throw failure("text that is not UTF-8", "UTF-8") }
    push(.string(text))
  }

  /// Text of Python 2, which may be text or bytes.
  private mutating func pushLegacyText(_ bytes: UnsafeRawBufferPointer) {
    push(bytes.utf8Text.map { .string($0) } ?? .bytes(Array(bytes)))
  }

  private func quoted(_ text: String) throws(CheckpointError) -> String {
    guard text.utf8.count >= 2, let first = text.first, first == text.last,
      first == "'" || first == "\"", !text.contains("\\")
    else { throw failure("the string \(text)", "plain text in quotation marks") }
    return String(text.dropFirst().dropLast())
  }

  private mutating func pushInteger(_ text: String, allowsBool: Bool) throws(CheckpointError) {
    if allowsBool, text == "00" || text == "01" { return push(.bool(text == "01")) }
    let digits = text.hasSuffix("L") ? String(text.dropLast()) : text
    if let value = Int(digits) { return push(.integer(value)) }
    let magnitude = digits.hasPrefix("-") ? digits.dropFirst() : digits[...]
    guard !magnitude.isEmpty, magnitude.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
      throw failure("the number \"\(text)\"", "an integer")
    }
    push(.hugeInteger)
  }

  /// A two's complement little-endian integer of any length.
  private mutating func pushLong(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count <= 8 else { return push(.hugeInteger) }
    var value: UInt64 = bytes.last ?? 0 >= 0x80 ? .max : 0
    for byte in bytes.reversed() { value = value << 8 | UInt64(byte) }
    push(.integer(Int(Int64(bitPattern: value))))
  }

  private func index(_ text: String) throws(CheckpointError) -> UInt32 {
    guard let value = UInt32(text) else { throw failure("the memo \"\(text)\"", "a number") }
    return value
  }

  // MARK: Errors

  private func failure(_ found: String, _ expected: String) -> CheckpointError {
    CheckpointError(
      .malformed, file: file, place: "\(place), byte \(opcodeStart)", found: found,
      expected: expected)
  }

  private func endFailure() -> CheckpointError {
    CheckpointError(
      .truncated, file: file, place: "\(place), byte \(opcodeStart)",
      found: "the pickle ends within an operation", expected: "its STOP operation",
      advice: "Copy or download the file again")
  }
}
