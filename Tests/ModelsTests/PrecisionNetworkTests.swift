import Tensors
import TestSupport
import Testing

@testable import Models

/// Networks whose products are computed in bfloat16.
@Suite struct PrecisionNetworkTests {
  static let architectures = [
    "vit(image=32,patch=8,dim=48,depth=2,heads=3,classes=10)",
    "swin(image=56,patch=4,window=7,dim=24,depths=2-2,heads=2-4,classes=10)",
    "resnet(image=64,depths=1-2,width=16,classes=10)",
    "mixer(image=32,patch=8,dim=48,depth=2,classes=10)",
  ]

  private func pair(_ text: String) throws -> (exact: any Network, coarse: any Network, x: Tensor) {
    let exact: any Network = try ModelLoader.random(try Architecture(text), seed: 3)
    let size = exact.inputShape
    let x = DeterministicFill.values(
      "input", [3, size.height, size.width, size.channels], isInput: true)
    return (exact, exact.computing(in: .emulatedBFloat16), x)
  }

  /// Every tap differs, by no more than rounding to 8 bits explains; looking changes no bit.
  @Test(arguments: architectures)
  func tapsAreNearThoseOfFloat32(_ text: String) throws {
    let (exact, coarse, x) = try pair(text)
    let (before, after) = (Recorder { _ in true }, Recorder { _ in true })
    let logits = exact(x, Context(probe: before)).values
    let rounded = coarse(x, Context(probe: after)).values
    #expect(coarse(x).values == rounded)
    #expect(exact(x).values == logits && logits != rounded)
    #expect(before.taps == after.taps && !before.taps.isEmpty)
    for (name, value) in before.values {
      let other = try #require(after.values[name]).values
      let largest = value.values.reduce(0) { max($0, abs($1)) }
      let worst = zip(value.values, other).reduce(0) { max($0, abs($1.0 - $1.1)) }
      #expect(worst <= 0.05 * largest, "\(name): \(worst) of \(largest)")
    }
  }

  @Test func partialPassesAndOtherWeightsKeepThePrecision() throws {
    let (exact, coarse, x) = try pair(Self.architectures[0])
    let whole = coarse(x).values
    let begun = try #require(coarse.begin(x, Context()))
    #expect(begun.finish().values == whole)
    #expect(begun.next().finish().values == whole)
    let tensors = Dictionary(
      uniqueKeysWithValues: coarse.parameters.map { ($0.specification.name, $0.tensor) })
    #expect(try coarse.rebuilt(with: tensors)(x).values == whole)
    #expect(coarse.computing(in: .float32)(x).values == exact(x).values)
  }

  /// A pass counts the same.
  @Test func abstractPassesAreTheSame() throws {
    let (exact, coarse, _) = try pair(Self.architectures[1])
    let (before, after) = (try ModelSummary(exact), try ModelSummary(coarse))
    #expect(before.multiplyAdds == after.multiplyAdds)
    #expect(before.peakActivationBytes == after.peakActivationBytes)
    #expect(before.taps.map(\.tap.name) == after.taps.map(\.tap.name))
  }
}
