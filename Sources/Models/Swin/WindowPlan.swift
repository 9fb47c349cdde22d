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
  }

  /// Windows on the rows that attention sees: those of the map, or those that `padding` makes.
  let layout: WindowLayout
  /// Added to the scores, `[K, T, T]`: one for each kind of window.
  let masks: [[Float]]
  /// For a map that is no multiple of the window: for each token of each window a row of the map, or -1
  /// for a token of zeros.
  let padding: [Int32]?
  /// The way back: for each row of the map, its place in the windows.
  let cropping: [Int32]

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
    var biases: [Int32] = []
    var masks: [[Float]] = []
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
      let own: [Float]
      switch mask {
      case .regions:
        func region(_ index: Int) -> Int {
          func part(_ at: Int, _ size: Int, _ shift: Int) -> Int {
            shift == 0 || at < size - window ? 0 : at < size - shift ? 1 : 2
          }
          return 3 * part(top + index / window, tall, shift.0)
            + part(left + index % window, wide, shift.1)
        }
        own = Self.mask(window, -100) { region($0) == region($1) }
      case .published:
        let isBottom = shift.0 > 0 && place >= (down - 1) * across
        let first = max(0, down * across - down - 1)
        let isRight = shift.1 > 0 && place >= first && (place - first).isMultiple(of: down)
        own = Self.mask(window, -.infinity) { a, b in
          func late(_ at: Int) -> Bool { at >= window - window / 2 }
          return (!isBottom || late(a / window) == late(b / window))
            && (!isRight || late(a % window) == late(b % window))
        }
      }
      let kind = masks.firstIndex(of: own) ?? masks.count
      if kind == masks.count { masks.append(own) }
      biases.append(Int32(kind))
    }
    self.masks = masks
    var cropping = [Int32](repeating: 0, count: height * width)
    for (place, row) in sources.enumerated() where row >= 0 { cropping[Int(row)] = Int32(place) }
    self.cropping = cropping
    if sources.count == height * width {
      padding = nil
      layout = WindowLayout(rows: sources, biases: biases)
    } else {
      padding = sources
      layout = WindowLayout(rows: Array(0..<Int32(sources.count)), biases: biases)
    }
  }

  private static func mask(
    _ window: Int, _ value: Float, sees: (Int, Int) -> Bool
  ) -> [Float] {
    let area = window * window
    return (0..<(area * area)).map { sees($0 / area, $0 % area) ? 0 : value }
  }

  /// The bias of each kind of window, `[K, heads, T, T]`, given that of the positions
  /// `[heads, T, T]`.
  func bias(_ positions: Tensor) -> Tensor {
    let (heads, area) = (positions.shape[0], positions.shape[1] * positions.shape[2])
    guard masks.count > 1 || masks[0].contains(where: { $0 != 0 }) else {
      return positions.reshaped([1, heads, positions.shape[1], positions.shape[2]])
    }
    let expanded = Tensor(
      shape: [masks.count, heads, positions.shape[1], positions.shape[2]]
    ) { buffer in
      for (kind, mask) in masks.enumerated() {
        for head in 0..<heads {
          let start = (kind * heads + head) * area
          for (index, value) in mask.enumerated() { buffer[start + index] = value }
        }
      }
    }
    return expanded + positions
  }

  /// The windows with their biases, given that of the positions `[heads, T, T]`.
  func windows(_ positions: Tensor) -> AttentionWindows {
    AttentionWindows(
      layout: layout, bias: bias(positions), padding: padding, cropping: cropping)
  }
}
