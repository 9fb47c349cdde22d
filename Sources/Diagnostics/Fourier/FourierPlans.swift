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
    let key = Key(
      extents: extents.map { Int32(clamping: $0) }, channels: Int32(clamping: channels))
    let transform = plans.withLock { plans -> Transform? in
      if let known = plans[key] { return known }
      let made = z.withMemoryRebound(to: fftwf_complex.self, capacity: 1) { z in
        fftwf_plan_many_dft_r2c(
          Int32(extents.count), key.extents, key.channels, x, nil, key.channels, 1, z, nil,
          key.channels, 1, UInt32(FFTW_ESTIMATE) | UInt32(FFTW_PRESERVE_INPUT))
      }
      guard let made else { return nil }
      let transform = Transform(plan: made)
      plans[key] = transform
      return transform
    }
    guard let transform else {
      preconditionFailure("The system has no memory left for a Fourier transform of \(extents)")
    }
    z.withMemoryRebound(to: fftwf_complex.self, capacity: 1) { z in
      fftwf_execute_dft_r2c(transform.plan, x, z)
    }
  }
}
