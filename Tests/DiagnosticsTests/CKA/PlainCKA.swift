/// Centred kernel alignment by its definition in Float64: Grams, then the traces of Song et al. (2012)
/// or of Gretton et al. (2005), term by term.
enum PlainCKA {
  typealias Matrix = [[Double]]

  static func rows(_ values: [Float], columns: Int) -> Matrix {
    stride(from: 0, to: values.count, by: columns).map { start in
      values[start..<(start + columns)].map(Double.init)
    }
  }

  static func linear(_ x: Matrix) -> Matrix {
    let n = x.count
    var mean = [Double](repeating: 0, count: x[0].count)
    for row in x { for (k, v) in row.enumerated() { mean[k] += v / Double(n) } }
    let centred = x.map { row in zip(row, mean).map { $0 - $1 } }
    return centred.map { a in centred.map { b in zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } } }
  }

  /// `[tr(K~L~) + 1'K~1 1'L~1 / (n-1)(n-2) - 2/(n-2) 1'K~L~1] / n(n-3)`, K~ and L~ without diagonal.
  static func unbiasedHSIC(_ k: Matrix, _ l: Matrix) -> Double {
    let n = k.count
    var (trace, sumK, sumL, cross) = (0.0, 0.0, 0.0, 0.0)
    for i in 0..<n {
      var (rowK, rowL) = (0.0, 0.0)
      for j in 0..<n where i != j {
        trace += k[i][j] * l[i][j]
        rowK += k[i][j]
        rowL += l[i][j]
      }
      sumK += rowK
      sumL += rowL
      cross += rowK * rowL
    }
    let m = Double(n)
    return (trace + sumK * sumL / ((m - 1) * (m - 2)) - 2 / (m - 2) * cross) / (m * (m - 3))
  }

  /// `tr(KHLH) / (n-1)²`.
  static func biasedHSIC(_ k: Matrix, _ l: Matrix) -> Double {
    func centred(_ a: Matrix) -> Matrix {
      let n = Double(a.count)
      let means = a.map { $0.reduce(0, +) / n }
      let mean = means.reduce(0, +) / n
      return a.indices.map { i in
        a.indices.map { j in a[i][j] - means[i] - means[j] + mean }
      }
    }
    let (a, b) = (centred(k), centred(l))
    let n = Double(k.count)
    return zip(a, b).reduce(0) { total, rows in
      total + zip(rows.0, rows.1).reduce(0) { $0 + $1.0 * $1.1 }
    } / ((n - 1) * (n - 1))
  }

  static func similarity(
    _ x: [Float], _ p: Int, _ y: [Float], _ q: Int, hsic: (Matrix, Matrix) -> Double = unbiasedHSIC
  ) -> Double {
    let (k, l) = (linear(rows(x, columns: p)), linear(rows(y, columns: q)))
    return hsic(k, l) / (hsic(k, k) * hsic(l, l)).squareRoot()
  }
}
