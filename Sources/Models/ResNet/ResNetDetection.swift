import Checkpoints
import StrictJSON

extension ResNetConfiguration {
  /// Reads a configuration off names and shapes; everything but the size of the images can be read.
  public static func detect(
    _ weights: WeightsView, base: ResNetConfiguration?
  ) throws(ModelError) -> ResNetConfiguration {
    var c = base ?? ResNetConfiguration()
    let stem = try weights.require("conv1.weight", rank: 4)
    c.stem = try .init(weights, "conv1.weight")
    (c.stemWidth, c.channels) = (stem[0], stem[1])
    c.preActivation = !weights.has("bn1.weight")
    c.block = weights.has("layer1.0.conv3.weight") ? .bottleneck : .basic
    (c.depths, c.widths) = ([], [])
    while weights.has("layer\(c.depths.count + 1).0.conv1.weight") {
      let name = "layer\(c.depths.count + 1)"
      c.widths.append(try weights.require("\(name).0.conv1.weight", rank: 4)[0])
      c.depths.append(weights.count { "\(name).\($0).conv1.weight" })
    }
    c.width = c.widths.first ?? 0
    c.classes = weights.classes("fc.weight")
    c.imageSize =
      base?.imageSize ?? weights.config?["image_size"].flatMap { Extents(setting: $0) }
      ?? (c.stem == .cifar ? 32 : 224)
    if !weights.has("layer1.0.bn1.running_mean") {
      throw ModelError(
        .unexpected, found: "a residual network without running statistics (gn, fixup, nf)",
        expected: "batch normalisation",
        advice: "That is another network, which is not supported")
    }
    return c
  }

  /// Names of timm whose networks share the block structure and nothing else.
  public static func reasonAgainst(variant: String) -> String? {
    guard variant.hasPrefix("resnet"),
      let end = variant.dropFirst(6).firstIndex(where: { !$0.isNumber }),
      end > variant.index(variant.startIndex, offsetBy: 6)
    else { return nil }
    let suffix = variant[end...]
    let meaning: String
    switch suffix.first {
    case "d", "t", "s": meaning = "with a deep stem and, often, average pooling in its shortcuts"
    case "c": meaning = "with a deep stem"
    default: meaning = "with other blocks or normalisation"
    }
    return "\(variant) is another network than \(variant[..<end]) (\(meaning)) and is not supported"
  }

  /// A deep stem: suffix d, t or s in timm.
  public static func reasonAgainst(names: [String]) -> String? {
    let names = Set(names)
    guard names.contains("conv1.0.weight"), names.contains("layer1.0.conv1.weight") else {
      return nil
    }
    return "weights of a residual network with a deep stem (timm's suffix d, t or s), which is "
      + "another network and not supported"
  }
}
