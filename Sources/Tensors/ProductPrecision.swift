import CKernels

/// How exactly products of matrices are computed: those of linear layers, attention and convolutions.
///
/// Products in bfloat16 round both operands to 8 significant bits (ties to even) and add in Float32, as the
/// instructions of AVX512-BF16 do. All else stays in Float32: activations, normalisations, softmax, sums over
/// tokens, 3x3 convolutions by transformed tiles and convolutions of channels by themselves.
public enum ProductPrecision: String, Sendable, Codable, CaseIterable {
  /// Nothing is rounded but sums.
  case float32
  /// bfloat16 by the processor's own instructions.
  case bfloat16 = "bf16"
  /// The values of ``bfloat16`` by other instructions: on every processor, and no faster than ``float32``.
  case emulatedBFloat16 = "bf16-emulated"

  var code: Int32 {
    switch self {
    case .float32: Int32(CK_FLOAT32)
    case .bfloat16: Int32(CK_BFLOAT16)
    case .emulatedBFloat16: Int32(CK_BFLOAT16_EMULATED)
    }
  }

  /// Whether this processor computes so.
  public var isAvailable: Bool { self != .bfloat16 || ck_has_bfloat16() != 0 }

  /// Computes products so that `body` asks for, on this thread and on those that it hands work to.
  public func callAsFunction<Result, Failure: Error>(
    _ body: () throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let outer = ck_precision()
    ck_set_precision(code)
    defer { ck_set_precision(outer) }
    return try body()
  }
}
