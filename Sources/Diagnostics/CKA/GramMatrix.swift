import CKernels
import Tensors

/// The centred Gram matrix of a minibatch of features, in Float64.
///
/// Columns are centred before they are multiplied: a mean that is large against the spread cancels
/// catastrophically otherwise (it is what turns minibatch CKA into NaN). Centring changes neither
/// estimator of HSIC. Products are taken in Float32 in chunks of columns and the chunks added in
/// Float64.
struct GramMatrix {
  /// The number of images.
  let n: Int
  /// Row-major, symmetric, `n * n`.
  private(set) var values: [Double]

  /// Columns of a chunk: what is centred is multiplied while it is in cache, up to half a megabyte.
  static func chunk(_ n: Int) -> Int { min(8192, max(512, (1 << 17) / max(1, n) / 64 * 64)) }

  /// The Gram matrix of the rows `x[i * stride ..< i * stride + columns]`, columns centred.
  init(_ x: UnsafePointer<Float>, n: Int, columns: Int, stride: Int) {
    self.n = n
    let size = Self.chunk(n)
    let chunks = max(1, (columns + size - 1) / size)
    // Chunks are shared out in a number of groups fixed by the shape; each group adds up its own.
    let groups = min(8, chunks)
    let sums = UnsafeMutableBufferPointer<Double>.allocate(capacity: groups * n * n)
    sums.initialize(repeating: 0)
    defer { sums.deallocate() }
    guard let base = sums.baseAddress else {
      values = []
      return
    }
    let out = DisjointWrites(base)
    let input = DisjointWrites(UnsafeMutablePointer(mutating: x))
    Threads.forEach(groups) { group in
      for chunk in (chunks * group / groups)..<(chunks * (group + 1) / groups) {
        let start = chunk * size
        let width = min(size, columns - start)
        if width > 0 {
          let done = ck_add_centred_gram(
            input.pointer + start, stride, n, width, out.pointer + group * n * n)
          precondition(
            done != 0, "The system has no memory left for a Gram matrix of \(n) images")
        }
      }
    }
    values = [Double](unsafeUninitializedCapacity: n * n) { buffer, count in
      for i in 0..<n {
        for j in 0...i {
          var sum = base[i * n + j]
          for group in 1..<max(1, groups) { sum += base[group * n * n + i * n + j] }
          buffer[i * n + j] = sum
          buffer[j * n + i] = sum
        }
      }
      count = n * n
    }
  }

  /// Replaces the linear kernel by `exp(-d² / (2 scale² median d²))`, the median over all `n²` entries
  /// (Kornblith et al. 2019). False if all rows are equal: there is no scale then.
  mutating func applyRBF(scale: Double) -> Bool {
    var distances = [Double](repeating: 0, count: n * n)
    for i in 0..<n {
      for j in 0..<n {
        let d = values[i * n + i] + values[j * n + j] - 2 * values[i * n + j]
        distances[i * n + j] = i == j ? 0 : max(0, d)
      }
    }
    let sorted = distances.sorted()
    let middle = n * n / 2
    let median =
      n * n % 2 == 1 ? sorted[middle] : 0.5 * (sorted[middle - 1] + sorted[middle])
    guard median > 0 else { return false }
    for index in distances.indices {
      values[index] = ck_exp(-distances[index] / (2 * scale * scale * median))
    }
    return true
  }

  /// U-centred, as a vector whose inner products are `<U(K), U(L)>` (Székely & Rizzo): the strict upper
  /// triangle times √2. Needs `n >= 4`.
  func uCentred(into out: UnsafeMutablePointer<Double>) {
    let count = Double(n)
    var means = [Double](repeating: 0, count: n)
    var total = 0.0
    for i in 0..<n {
      var sum = 0.0
      for j in 0..<n where j != i { sum += values[i * n + j] }
      means[i] = sum / (count - 2)
      total += means[i]
    }
    let shift = total / (2 * (count - 1))
    for i in 0..<n { means[i] -= shift }
    var at = 0
    let root = 2.0.squareRoot()
    for i in 0..<n {
      for j in (i + 1)..<max(n, i + 1) {
        out[at] = (values[i * n + j] - means[i] - means[j]) * root
        at += 1
      }
    }
  }

  /// Double-centred, as a vector whose inner products are `<HKH, HLH>`: the diagonal, then the strict
  /// upper triangle times √2.
  func doubleCentred(into out: UnsafeMutablePointer<Double>) {
    var means = [Double](repeating: 0, count: n)
    var total = 0.0
    for i in 0..<n {
      var sum = 0.0
      for j in 0..<n { sum += values[i * n + j] }
      means[i] = sum / Double(n)
      total += means[i]
    }
    total /= Double(n)
    let root = 2.0.squareRoot()
    var at = n
    for i in 0..<n {
      out[i] = values[i * n + i] - 2 * means[i] + total
      for j in (i + 1)..<max(n, i + 1) {
        out[at] = (values[i * n + j] - means[i] - means[j] + total) * root
        at += 1
      }
    }
  }

  /// The squared Frobenius norm: the size against which a HSIC of zero is judged.
  var squaredNorm: Double { values.reduce(0) { $0 + $1 * $1 } }
}
