import CKernels
import Glibc
import Tensors

/// The taps of the windows of a local layer on the grid that it reads.
struct LocalTaps: Sendable, Hashable {
  /// The grid that is read.
  let height: Int
  let width: Int
  /// The places of the result.
  let rows: Int
  let columns: Int
  let window: SlidingWindow
  /// Whether one row of weights stands for all places.
  let isShared: Bool

  /// Nil if weights of so many queries and keys are not those of the window.
  init?(_ window: SlidingWindow, height: Int, width: Int, queries: Int, keys: Int) {
    guard let result = window.extents(height: height, width: width),
      keys == window.kernel.height * window.kernel.width,
      queries == 1 || queries == result.height * result.width
    else { return nil }
    (self.window, self.height, self.width) = (window, height, width)
    (rows, columns) = result
    isShared = queries == 1
  }

  /// Places of the grid that is read.
  var count: Int { height * width }

  /// How far each tap lies from the place that it is for, in places of the grid, row by row.
  var offsets: [(down: Int, across: Int)] {
    (0..<window.kernel.height * window.kernel.width).map { tap in
      (
        tap / window.kernel.width * window.dilation.height - window.padding.0,
        tap % window.kernel.width * window.dilation.width - window.padding.1
      )
    }
  }

  /// The windows for the loops in C.
  var geometry: ck_taps {
    ck_taps(
      h: height, w: width, oh: rows, ow: columns, kh: window.kernel.height,
      kw: window.kernel.width, stride_h: window.stride.height, stride_w: window.stride.width,
      pad_top: window.padding.0, pad_left: window.padding.1, dilation_h: window.dilation.height,
      dilation_w: window.dilation.width,
      place_step: isShared ? 0 : window.kernel.height * window.kernel.width)
  }
}

extension LocalTaps {
  /// The most places of a matrix whose spectrum is taken.
  static let largestMatrix = 256

  /// Whether the effective rank is taken: of kernels that all places share, or on small grids.
  var hasRank: Bool { isPeriodic || max(count, rows * columns) <= Self.largestMatrix }

  /// Whether all places have one kernel and there are as many results as places.
  private var isPeriodic: Bool {
    isShared && window.stride == (1, 1) && (rows, columns) == (height, width)
  }

  /// The effective rank of the matrix that makes the places of the result from those of the grid. Where all places
  /// share a kernel, that of the kernel on a grid whose edges meet: its singular values are the magnitudes of the
  /// kernel's Fourier transform.
  ///
  /// - Parameters:
  ///   - weights: `[places or 1, taps]`, finite.
  /// - Returns: nil for zeros, and where ``hasRank`` is false.
  func effectiveRank(_ weights: UnsafePointer<Float>) throws(SpectrumError) -> Double? {
    guard hasRank else { return nil }
    if isPeriodic { return Diagnostics.effectiveRank(singularValues: spectrum(weights)) }
    return try Diagnostics.effectiveRank(
      matrix(weights), rows: rows * columns, columns: count)
  }

  /// The matrix `[rows * columns, height * width]` by which results are made; taps outside of the grid are left out.
  func matrix(_ weights: UnsafePointer<Float>) -> [Float] {
    var matrix = [Float](repeating: 0, count: rows * columns * count)
    let (offsets, keys) = (offsets, window.kernel.height * window.kernel.width)
    for place in 0..<rows * columns {
      let row = weights + (isShared ? 0 : place * keys)
      for (tap, offset) in offsets.enumerated() {
        let y = place / columns * window.stride.height + offset.down
        let x = place % columns * window.stride.width + offset.across
        guard (0..<height).contains(y), (0..<width).contains(x) else { continue }
        matrix[place * count + y * width + x] += row[tap]
      }
    }
    return matrix
  }

  /// The magnitudes of the Fourier transform of one kernel on the grid: along rows first, then along columns.
  private func spectrum(_ weights: UnsafePointer<Float>) -> [Double] {
    func waves(_ size: Int) -> [(cosine: Double, sine: Double)] {
      (0..<size).map {
        let angle = 2 * Double.pi * Double($0) / Double(size)
        return (cos(angle), sin(angle))
      }
    }
    let (down, across) = (waves(height), waves(width))
    let (kernelRows, kernelColumns) = window.kernel
    var half = [(real: Double, imaginary: Double)](
      repeating: (0, 0), count: kernelRows * width)
    for row in 0..<kernelRows {
      for frequency in 0..<width {
        var (real, imaginary) = (0.0, 0.0)
        for column in 0..<kernelColumns {
          let wave = across[frequency * column * window.dilation.width % width]
          let weight = Double(weights[row * kernelColumns + column])
          real += weight * wave.cosine
          imaginary -= weight * wave.sine
        }
        half[row * width + frequency] = (real, imaginary)
      }
    }
    var magnitudes: [Double] = []
    magnitudes.reserveCapacity(count)
    for vertical in 0..<height {
      for horizontal in 0..<width {
        var (real, imaginary) = (0.0, 0.0)
        for row in 0..<kernelRows {
          let wave = down[vertical * row * window.dilation.height % height]
          let value = half[row * width + horizontal]
          real += value.real * wave.cosine + value.imaginary * wave.sine
          imaginary += value.imaginary * wave.cosine - value.real * wave.sine
        }
        magnitudes.append((real * real + imaginary * imaginary).squareRoot())
      }
    }
    return magnitudes
  }
}
