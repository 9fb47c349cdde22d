import CFFTW
import CKernels
import Synchronization

/// Real transforms of many interleaved signals, channels last, planned once and kept.
///
/// Plans are made without timing anything (`FFTW_ESTIMATE`), so that the same plan comes out each
/// time, under a lock because FFTW plans in one thread only. Running a plan needs no lock.
enum FourierPlans {
  private struct Key: Hashable {
    let extents: [Int32]
    let channels: Int32
    let isInverse: Bool
  }
  private struct Transform: @unchecked Sendable { let plan: fftwf_plan }
  private static let plans = Mutex<[Key: Transform]>([:])

  /// Transforms `channels` signals of the given extents: `x[extents, channels]` to
  /// `z[extents with n / 2 + 1 for the last n, channels]`, re and im interleaved.
  ///
  /// - Precondition: both are aligned to 64 bytes and do not overlap.
  static func transform(
    _ x: UnsafeMutablePointer<Float>, extents: [Int], channels: Int,
    into z: UnsafeMutablePointer<Float>
  ) {
    z.withMemoryRebound(to: fftwf_complex.self, capacity: 1) { z in
      let plan = plan(extents, channels, isInverse: false) { rank, n, count in
        fftwf_plan_many_dft_r2c(
          rank, n, count, x, nil, count, 1, z, nil, count, 1,
          UInt32(FFTW_ESTIMATE) | UInt32(FFTW_PRESERVE_INPUT))
      }
      fftwf_execute_dft_r2c(plan, x, z)
    }
  }

  /// The way back, without the factor of one over the number of values; `z` is overwritten.
  ///
  /// - Precondition: as of ``transform(_:extents:channels:into:)``.
  static func inverse(
    _ z: UnsafeMutablePointer<Float>, extents: [Int], channels: Int,
    into x: UnsafeMutablePointer<Float>
  ) {
    z.withMemoryRebound(to: fftwf_complex.self, capacity: 1) { z in
      let plan = plan(extents, channels, isInverse: true) { rank, n, count in
        fftwf_plan_many_dft_c2r(
          rank, n, count, z, nil, count, 1, x, nil, count, 1, UInt32(FFTW_ESTIMATE))
      }
      fftwf_execute_dft_c2r(plan, z, x)
    }
  }

  private static func plan(
    _ extents: [Int], _ channels: Int, isInverse: Bool,
    making: (_ rank: Int32, _ extents: [Int32], _ channels: Int32) -> fftwf_plan?
  ) -> fftwf_plan {
    let key = Key(
      extents: extents.map { Int32(clamping: $0) }, channels: Int32(clamping: channels),
      isInverse: isInverse)
    let transform = plans.withLock { plans -> Transform? in
      if let known = plans[key] { return known }
      guard let made = making(Int32(extents.count), key.extents, key.channels) else { return nil }
      let transform = Transform(plan: made)
      plans[key] = transform
      return transform
    }
    guard let transform else {
      preconditionFailure("The system has no memory left for a Fourier transform of \(extents)")
    }
    return transform.plan
  }
}
