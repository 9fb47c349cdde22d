import Tensors

/// A way in which a step puts the values of its input elsewhere, by places in memory.
enum GraphMovement: Hashable {
  case permuted([Int])
  case sliced(axis: Int, start: Int, count: Int, step: Int)
  case picked(axis: Int, [Int32])
  case rolled(axis: Int, by: Int)
  /// Zeros before and after.
  case padded(axis: Int, before: Int, after: Int)
  case expanded(GraphExtents)
  case pixelShuffled(Int)
  case pixelUnshuffled(Int)

  func callAsFunction(_ x: Tensor, _ images: Int) -> Tensor {
    switch self {
    case .permuted(let places): x.permuted(places)
    case .sliced(let axis, let start, let count, let step):
      x.slice(axis: axis, start: start, length: count, step: step)
    case .picked(let axis, let places): x.picked(axis: axis, places)
    case .rolled(let axis, let shift): x.rolled(axis: axis, by: shift)
    case .padded(let axis, let before, let after):
      x.padded(axis: axis, before: before, after: after, mode: .constant(0))
    case .expanded(let extents): x.expanded(to: Shape(extents(images)))
    case .pixelShuffled(let extent): x.pixelShuffled(extent)
    case .pixelUnshuffled(let extent): x.pixelUnshuffled(extent)
    }
  }
}

/// Follows values through steps that only put them elsewhere: by doing them on the numbers of the places. The blocks
/// of a network move values alike, so that each path is followed once.
struct GraphMovements {
  /// The most places of one tensor; numbers up to there are exact.
  private static let maximumCount = 1 << 23
  /// How many places may still be copied for this graph.
  private var budget = 1 << 28
  private var found: [Path: GraphPlaces] = [:]

  private struct Path: Hashable {
    let shape: Shape
    let steps: [Step]

    enum Step: Hashable {
      case movement(GraphMovement)
      /// The values stay where they are, under these extents.
      case extents([Int])
    }
  }

  /// For each place of the result of steps, the place of the source whose value is there; -1 for a zero. Of one
  /// image.
  ///
  /// - Parameters:
  ///   - steps: in order; those that are no movements keep every value where it is.
  ///   - shape: of what the first of them reads.
  /// - Returns: nil where there are too many places.
  mutating func places(_ steps: [GraphStep], from shape: Shape) -> GraphPlaces? {
    let path = Path(
      shape: shape,
      steps: steps.map {
        if case .movement(let movement) = $0.kind {
          .movement(movement)
        } else {
          .extents($0.extents.dimensions)
        }
      })
    if let known = found[path] { return known }
    guard shape.count <= Self.maximumCount else { return nil }
    var work = 2 * shape.count
    for step in steps where step.kind.isCopy { work += step.extents.dimensions.reduce(1, *) }
    guard work <= budget else { return nil }
    budget -= work
    var numbers = Tensor(shape: shape) { buffer in
      for place in buffer.indices { buffer[place] = Float(place + 1) }
    }
    for step in path.steps {
      switch step {
      case .movement(let movement): numbers = movement(numbers, 1)
      case .extents(let extents): numbers = numbers.reshaped(Shape(extents))
      }
    }
    let places = GraphPlaces(numbers.values.map { Int32($0) - 1 })
    found[path] = places
    return places
  }
}

/// Where each value of a tensor comes from in another; -1: it is zero. What was asked of it is kept.
final class GraphPlaces {
  private let places: [Int32]
  private var rows: [Int: [Int32]?] = [:]
  private var orders: [GraphHeads: Bool] = [:]
  private var sources: [SourceQuestion: GraphHeads.Source?] = [:]

  private struct SourceQuestion: Hashable {
    let heads: GraphHeads
    let row: Int
  }

  init(_ places: [Int32]) { self.places = places }

  /// The row of the source that each row of so many values is; nil where rows do not stay whole.
  func rows(of width: Int) -> [Int32]? {
    if let known = rows[width] { return known }
    let answer = Self.rows(of: width, in: places)
    rows[width] = answer
    return answer
  }

  private static func rows(of width: Int, in places: [Int32]) -> [Int32]? {
    guard width > 0, places.count.isMultiple(of: width) else { return nil }
    var rows: [Int32] = []
    rows.reserveCapacity(places.count / width)
    for start in stride(from: 0, to: places.count, by: width) {
      let first = places[start]
      guard first < 0 || Int(first).isMultiple(of: width) else { return nil }
      for offset in 0..<width
      where places[start + offset] != (first < 0 ? -1 : first + Int32(offset)) {
        return nil
      }
      rows.append(first < 0 ? -1 : first / Int32(width))
    }
    return rows
  }

  /// Whether values, which lie in the source as heads do, are in the order of tokens with heads side by side.
  func bringsHeadsTogether(from heads: GraphHeads) -> Bool {
    if let known = orders[heads] { return known }
    let together = heads.sideBySide
    let answer = places.enumerated().allSatisfy { index, source in
      Int(source) == heads.index(of: together.place(index))
    }
    orders[heads] = answer
    return answer
  }

  /// Where heads came from, which lie in the result as is said; nil where they were no channels side by side, nor
  /// rows.
  ///
  /// - Parameter row: how many values a row of the source has.
  func source(of heads: GraphHeads, row: Int) -> GraphHeads.Source? {
    let question = SourceQuestion(heads: heads, row: row)
    if let known = sources[question] { return known }
    let answer = findSource(of: heads, row: row)
    sources[question] = answer
    return answer
  }

  private func findSource(of heads: GraphHeads, row: Int) -> GraphHeads.Source? {
    guard let first = places.first, first >= 0 else { return nil }
    let (start, width) = (Int(first), heads.width)
    let isSideBySide =
      start + heads.count * width <= row
      && places.enumerated().allSatisfy { index, source in
        let (token, head, channel) = heads.place(index)
        return Int(source) == token * row + start + head * width + channel
      }
    if isSideBySide { return GraphHeads.Source(start: start) }
    guard row.isMultiple(of: width), places.count.isMultiple(of: heads.count * width) else {
      return nil
    }
    let together = heads.sideBySide
    var ordered = [Int32](repeating: -1, count: places.count)
    for (index, source) in places.enumerated() {
      ordered[together.index(of: heads.place(index))] = source
    }
    return Self.rows(of: width, in: ordered).map { GraphHeads.Source(rows: $0) }
  }
}

/// How the values of heads lie in an operand of attention, of one image.
struct GraphHeads: Hashable {
  /// Axes from the outermost to the innermost, within a window.
  enum Order: Hashable {
    case tokensHeadsChannels, headsTokensChannels, headsChannelsTokens
  }

  /// Where heads come from.
  struct Source {
    /// The first of the channels of a row that the heads are, side by side.
    var start = 0
    /// Where heads do not lie so: the row, of the width of a head, that each token and head is.
    var rows: [Int32]?
  }

  let order: Order
  /// How many heads there are.
  let count: Int
  /// Channels of a head.
  let width: Int
  /// Of a window.
  let tokens: Int

  /// All heads of a token in one row.
  var sideBySide: GraphHeads {
    GraphHeads(order: .tokensHeadsChannels, count: count, width: width, tokens: tokens)
  }

  /// The token among those of all windows, the head and the channel of a value.
  func place(_ index: Int) -> (token: Int, head: Int, channel: Int) {
    switch order {
    case .tokensHeadsChannels:
      let row = index / width
      return (row / count, row % count, index % width)
    case .headsTokensChannels:
      let row = index / width
      let matrix = row / tokens
      return (matrix / count * tokens + row % tokens, matrix % count, index % width)
    case .headsChannelsTokens:
      let row = index / tokens
      let matrix = row / width
      return (matrix / count * tokens + index % tokens, matrix % count, row % width)
    }
  }

  func index(of place: (token: Int, head: Int, channel: Int)) -> Int {
    let (token, head, channel) = place
    let matrix = token / tokens * count + head
    return switch order {
    case .tokensHeadsChannels: (token * count + head) * width + channel
    case .headsTokensChannels: (matrix * tokens + token % tokens) * width + channel
    case .headsChannelsTokens: (matrix * width + channel) * tokens + token % tokens
    }
  }
}

extension GraphStep.Kind {
  /// Whether it only puts the values of its one input elsewhere.
  var isMovement: Bool {
    switch self {
    case .view, .movement: true
    default: false
    }
  }

  /// Whether values are copied for it.
  var isCopy: Bool {
    switch self {
    case .movement: true
    default: false
    }
  }
}
