import Tensors

/// Where the windows of one block lie on a map, and which pairs of tokens do not see each other.
struct WindowPlan: Sendable {
  /// Which pairs of a shifted window do not see each other.
  enum Mask: Sendable {
    /// Pairs that were no neighbours before the shift: -100 (Liu et al. 2021).
    case regions
    /// Minus infinity, and at the right edge only in windows n² - n - 1 and n² - 1: the published
    /// code of xxxnell/how-do-vits-work.
    case published

    /// What is added to the score of a pair that is not seen.
    var value: Float { self == .regions ? -100 : -.infinity }
  }

  /// Windows whose pairs are seen alike: tokens see each other within a part of rows and of columns.
  private struct Kind: Sendable, Equatable {
    let rowParts: [Int]
    let columnParts: [Int]

    /// Whether every token sees every other.
    var isWhole: Bool { Set(rowParts).count == 1 && Set(columnParts).count == 1 }
  }

  /// Windows on the rows that attention sees: those of the map, or those that `padding` makes.
  let layout: WindowLayout
  /// For a map that is no multiple of the window: for each token of each window a row of the map, or -1
  /// for a token of zeros.
  let padding: [Int32]?
  /// The way back: for each row of the map, its place in the windows.
  let cropping: [Int32]
  private let kinds: [Kind]
  private let mask: Mask

  /// - Parameters:
  ///   - shift: how far the map is rolled up and to the left; 0 along an axis that one window fills.
  ///   - shiftsPadding: whether padding is rolled too (torchvision, Hugging Face), or stays at the
  ///     bottom and right edges (timm).
  init(
    height: Int, width: Int, window: Int, shift: (Int, Int), shiftsPadding: Bool, mask: Mask
  ) {
    let (down, across) = ((height + window - 1) / window, (width + window - 1) / window)
    let (tall, wide) = (down * window, across * window)
    let rolled = shiftsPadding ? (tall, wide) : (height, width)
    var sources: [Int32] = []
    sources.reserveCapacity(tall * wide)
    for place in 0..<(down * across) {
      let (top, left) = (place / across * window, place % across * window)
      for index in 0..<(window * window) {
        var (y, x) = (top + index / window, left + index % window)
        // Outside of what is rolled there is padding, which stays where it is.
        if y < rolled.0, x < rolled.1 {
          (y, x) = ((y + shift.0) % rolled.0, (x + shift.1) % rolled.1)
        }
        sources.append(y < height && x < width ? Int32(y * width + x) : -1)
      }
    }
    var cropping = [Int32](repeating: 0, count: height * width)
    for (place, row) in sources.enumerated() where row >= 0 { cropping[Int(row)] = Int32(place) }
    self.cropping = cropping
    self.mask = mask
    let biases: [Int32]
    (kinds, biases) = Self.kinds(down, across, window, shift, mask)
    if sources.count == height * width {
      padding = nil
      layout = WindowLayout(rows: sources, biases: biases)
    } else {
      padding = sources
      layout = WindowLayout(rows: Array(0..<Int32(sources.count)), biases: biases)
    }
  }

  /// The kinds in the order in which they occur, and that of each window.
  private static func kinds(
    _ down: Int, _ across: Int, _ window: Int, _ shift: (Int, Int), _ mask: Mask
  ) -> ([Kind], [Int32]) {
    /// Parts along one axis of the window that starts at `first` on a map of `size`.
    func regions(_ first: Int, _ size: Int, _ shift: Int) -> [Int] {
      (first..<(first + window)).map { at in
        shift == 0 || at < size - window ? 0 : at < size - shift ? 1 : 2
      }
    }
    let whole = [Int](repeating: 0, count: window)
    let halves = (0..<window).map { $0 >= window - window / 2 ? 1 : 0 }
    let rows = (0..<down).map { band in
      mask == .regions
        ? regions(band * window, down * window, shift.0)
        : shift.0 > 0 && band == down - 1 ? halves : whole
    }
    let columns = (0..<across).map { regions($0 * window, across * window, shift.1) }
    let firstRight = max(0, down * across - down - 1)
    var kinds: [Kind] = []
    var biases: [Int32] = []
    biases.reserveCapacity(down * across)
    for place in 0..<(down * across) {
      let isRight =
        shift.1 > 0 && place >= firstRight && (place - firstRight).isMultiple(of: down)
      let own = Kind(
        rowParts: rows[place / across],
        columnParts: mask == .regions ? columns[place % across] : isRight ? halves : whole)
      let kind = kinds.firstIndex(of: own) ?? kinds.count
      if kind == kinds.count { kinds.append(own) }
      biases.append(Int32(kind))
    }
    return (kinds, biases)
  }

  /// The bias of each kind of window, `[K, heads, T, T]`, given that of the positions
  /// `[heads, T, T]`.
  func bias(_ positions: Tensor) -> Tensor {
    let (heads, tokens) = (positions.shape[0], positions.shape[1])
    if kinds.count == 1, kinds[0].isWhole {
      return positions.reshaped([1, heads, tokens, tokens])
    }
    // Without values nothing is masked, and no memory is taken.
    if positions.isAbstract { return positions.repeated(kinds.count) }
    let (area, window, value) = (tokens * tokens, kinds[0].rowParts.count, mask.value)
    let masks = Tensor(shape: [kinds.count, heads, tokens, tokens]) { buffer in
      for (index, kind) in kinds.enumerated() {
        let part = (0..<tokens).map { token in
          kind.rowParts[token / window] * 3 + kind.columnParts[token % window]
        }
        for head in 0..<heads {
          let start = (index * heads + head) * area
          for query in 0..<tokens {
            for key in 0..<tokens {
              buffer[start + query * tokens + key] = part[query] == part[key] ? 0 : value
            }
          }
        }
      }
    }
    return masks + positions
  }
}
