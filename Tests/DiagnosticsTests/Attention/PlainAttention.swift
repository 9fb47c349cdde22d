import Glibc

/// The statistics of one image's maps `[windows, heads, tokens, tokens]` by their definitions, in
/// Float64: one sum an entry, no shortcuts.
struct PlainAttention {
  let maps: [[[Double]]]
  let tokens: Int
  let height: Int
  let width: Int
  let prefix: Int

  /// - Parameters:
  ///   - values: of one image.
  init(
    _ values: ArraySlice<Float>, windows: Int, heads: Int, height: Int, width: Int, prefix: Int
  ) {
    let tokens = prefix + height * width
    let values = values.map(Double.init)
    (self.tokens, self.height, self.width, self.prefix) = (tokens, height, width, prefix)
    maps = (0..<windows).map { window in
      (0..<heads).map { head in
        let start = (window * heads + head) * tokens * tokens
        return Array(values[start..<start + tokens * tokens])
      }
    }
  }

  var heads: Int { maps[0].count }

  /// A head's attention among patches with rows that sum to 1.
  func patches(_ window: Int, _ head: Int) -> [[Double]] {
    (prefix..<tokens).map { query in
      let row = (prefix..<tokens).map { abs(maps[window][head][query * tokens + $0]) }
      let sum = row.reduce(0, +)
      return row.map { $0 / sum }
    }
  }

  private func mean(_ head: Int, _ body: ([[Double]]) -> Double) -> Double {
    maps.indices.reduce(0) { $0 + body(patches($1, head)) } / Double(maps.count)
  }

  func distance(_ head: Int, down: Double, across: Double) -> Double {
    mean(head) { rows in
      var sum = 0.0
      for (q, row) in rows.enumerated() {
        for (k, p) in row.enumerated() {
          sum +=
            p
            * hypot(
              down * Double(q / width - k / width), across * Double(q % width - k % width))
        }
      }
      return sum / Double(rows.count)
    }
  }

  func entropy(_ head: Int) -> Double {
    mean(head) { rows in
      rows.reduce(0) { $0 - $1.reduce(0) { $1 > 0 ? $0 + $1 * log($1) : $0 } } / Double(rows.count)
    }
  }

  /// Σ p(q, k) log (p(q, k) / p(q) p(k)) over √(H(q) H(k)).
  func information(_ head: Int) -> Double {
    mean(head) { rows in
      let n = Double(rows.count)
      let keys = rows[0].indices.map { k in rows.reduce(0) { $0 + $1[k] } / n }
      var sum = 0.0
      for row in rows {
        for (k, p) in row.enumerated() where p > 0 { sum += p / n * log(p / n / (keys[k] / n)) }
      }
      let entropy = keys.reduce(0) { $1 > 0 ? $0 - $1 * log($1) : $0 }
      return sum / (log(n) * entropy).squareRoot()
    }
  }

  private func whole(_ head: Int) -> [Double] { maps.flatMap { $0[head] } }

  static func cosine(_ a: [Double], _ b: [Double]) -> Double {
    func dot(_ x: [Double], _ y: [Double]) -> Double { zip(x, y).reduce(0) { $0 + $1.0 * $1.1 } }
    return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
  }

  func cosines() -> [Double] {
    (0..<heads).flatMap { a in
      (0..<a).map { b in Self.cosine(whole(a), whole(b)) }
    }
  }

  func cosine(_ head: Int, with other: PlainAttention) -> Double {
    Self.cosine(whole(head), other.whole(head))
  }
}
