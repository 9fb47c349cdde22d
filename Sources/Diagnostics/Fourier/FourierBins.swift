import CKernels
import Tensors

/// Which bins of the spectrum of a map make up a curve, and how an image gives its point on each.
///
/// For a square map of size n, the frequencies are `2π k / n`. On a map that is not square they are
/// `2π k / min(height, width)`, along both axes the same; where that falls between the bins of the
/// longer side, the mean of the map is taken out first, which would leak into them otherwise.
struct FourierBins: Sendable {
  /// Sums over lines of constant phase. By the projection theorem on the discrete torus, the
  /// transform of the wrapped anti-diagonal sums of an n × n map is its spectrum on the diagonal,
  /// `F(k, k) = Σ_m s_m exp(-2πi k m / n)` with `s_m = Σ x_ij` over `i + j ≡ m (mod n)`.
  private struct Projection: Sendable {
    /// The line of each place.
    let line: [Int32]
    /// Places on each line, if they differ: then lines do not cover the map evenly.
    let sizes: [Int32]?
  }
  /// A bin of the whole plane (half of it: the rest is conjugate) that belongs to a ring.
  private struct RingBin: Sendable {
    let place: Int
    let ring: Int
    let weight: Double
  }

  let grid: MapGrid
  let variant: FourierSettings.Variant
  /// The number of points of the curve, the constant part first.
  let count: Int
  /// The size that frequencies are counted by.
  let period: Int
  private var projections: [Projection] = []
  private var rings: [RingBin] = []
  private var ringWeights: [Double] = []

  init(_ grid: MapGrid, _ variant: FourierSettings.Variant) {
    self.grid = grid
    self.variant = variant
    period = min(grid.height, grid.width)
    // The bin at π itself is not among the reference's for even sizes; rings reach it.
    count = variant == .radial ? period / 2 + 1 : (period + 1) / 2
    switch variant {
    case .diag, .power: projections = [projection(1, 1)]
    case .axis: projections = [projection(1, 0), projection(0, 1)]
    case .radial: makeRings()
    }
  }

  /// The frequency of a point in units of π radians a pixel.
  func frequency(_ index: Int) -> Double { 2 * Double(index) / Double(period) }

  /// The same, stretched to end at 1.
  func stretchedFrequency(_ index: Int) -> Double {
    count > 1 ? Double(index) / Double(count - 1) : 0
  }

  private func projection(_ a: Int, _ b: Int) -> Projection {
    var line: [Int32] = []
    line.reserveCapacity(grid.positions)
    var sizes = [Int32](repeating: 0, count: period)
    for i in 0..<grid.height {
      for j in 0..<grid.width {
        let m = (a * i + b * j) % period
        line.append(Int32(truncatingIfNeeded: m))
        sizes[m] += 1
      }
    }
    return Projection(line: line, sizes: sizes.allSatisfy { $0 == sizes[0] } ? nil : sizes)
  }

  private mutating func makeRings() {
    let (height, width) = (grid.height, grid.width)
    let half = width / 2 + 1
    ringWeights = [Double](repeating: 0, count: count)
    for row in 0..<height {
      let y = Double(min(row, height - row)) / Double(height)
      for column in 0..<half {
        let x = Double(column) / Double(width)
        let ring = Int((Double(period) * (x * x + y * y).squareRoot()).rounded())
        guard ring > 0, ring < count else { continue }
        let isAlone = column == 0 || 2 * column == width
        let weight = isAlone ? 1.0 : 2.0
        rings.append(RingBin(place: row * half + column, ring: ring, weight: weight))
        ringWeights[ring] += weight
      }
    }
  }

  /// The mean over channels of log amplitudes (or powers) of one image, into `out[count]`.
  ///
  /// - Returns: how many maps are dead.
  func measure(_ maps: UnsafePointer<Float>, into out: UnsafeMutablePointer<Double>) -> Int {
    out.update(repeating: 0, count: count)
    let dead = variant == .radial ? measurePlane(maps, out) : measureLines(maps, out)
    for index in 0..<count { out[index] /= Double(grid.channels) }
    return dead
  }

  private func measureLines(
    _ maps: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Double>
  ) -> Int {
    let channels = grid.channels
    let operand = ScratchMemory(.operand, period * channels)
    let result = ScratchMemory(.result, (period / 2 + 1) * channels * 2)
    let (sums, spectrum) = (operand.pointer, result.pointer)
    var dead = 0
    for (index, projection) in projections.enumerated() {
      ck_project(maps, grid.positions, channels, projection.line, period, sums)
      if index == 0 { dead = constantPart(sums, period, maps, out) }
      guard count > 1 else { continue }
      if let sizes = projection.sizes {
        ck_centre_projection(sums, period, channels, sizes, grid.positions)
      }
      FourierPlans.transform(sums, extents: [period], channels: channels, into: spectrum)
      for k in 1..<count {
        let bin = spectrum + 2 * k * channels
        out[k] +=
          variant == .power
          ? ck_power(bin, channels)
          : ck_log_amplitude(bin, channels, Float(FourierSettings.floor))
            / Double(projections.count)
      }
    }
    return dead
  }

  private func measurePlane(
    _ maps: UnsafePointer<Float>, _ out: UnsafeMutablePointer<Double>
  ) -> Int {
    let channels = grid.channels
    let operand = ScratchMemory(.operand, grid.positions * channels)
    let shifted = operand.pointer
    ck_shift_map(maps, grid.positions, channels, shifted)
    let dead = constantPart(shifted, grid.positions, maps, out)
    guard count > 1 else { return dead }
    let half = grid.width / 2 + 1
    let result = ScratchMemory(.result, grid.height * half * channels * 2)
    let spectrum = result.pointer
    FourierPlans.transform(
      shifted, extents: [grid.height, grid.width], channels: channels, into: spectrum)
    for bin in rings {
      let sum = ck_log_amplitude(
        spectrum + 2 * bin.place * channels, channels, Float(FourierSettings.floor))
      out[bin.ring] += sum * bin.weight / ringWeights[bin.ring]
    }
    return dead
  }

  private func constantPart(
    _ sums: UnsafePointer<Float>, _ lines: Int, _ maps: UnsafePointer<Float>,
    _ out: UnsafeMutablePointer<Double>
  ) -> Int {
    var dead = 0
    var power = 0.0
    let logs = ck_log_sum(
      sums, lines, grid.channels, maps, grid.positions, FourierSettings.floor,
      FourierSettings.faint, &dead, &power)
    out[0] = variant == .power ? power : logs
    return dead
  }
}
