import Checkpoints
import StrictJSON

extension ResNetConfiguration {
  /// Reads a configuration off names and shapes. What they do not tell (the size of the images, where strides
  /// stand, what halves maps, the non-linearity) is taken from `base`, or is the usual.
  public static func detect(
    _ weights: WeightsView, base: ResNetConfiguration?
  ) throws(ModelError) -> ResNetConfiguration {
    var c = base ?? ResNetConfiguration()
    try c.readStem(weights)
    c.preActivation = !weights.has("bn1.weight")
    c.block = weights.has("layer1.0.conv3.weight") ? .bottleneck : .basic
    try c.readStages(weights)
    c.width = c.widths.first ?? 0
    c.classes = weights.classes("fc.weight")
    try c.readShortcuts(weights)
    // What was asked for is said again by the caller where it was given.
    if base?.stem != c.stem {
      (c.pool, c.stemStride) = c.stem == .cifar ? (.none, 1) : (.maximum, 2)
    }
    if weights.has("maxpool.0.weight") {
      c.pool = .convolution
    } else if c.pool == .convolution {
      c.pool = .maximum
    }
    if c.dilation.count != c.depths.count { c.dilation = c.depths.map { _ in 1 } }
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

  private mutating func readStem(_ weights: WeightsView) throws(ModelError) {
    if weights.has("conv1.0.weight") {
      stem = .deep
      let first = try weights.require("conv1.0.weight", rank: 4)
      let second = try weights.require("conv1.3.weight", rank: 4)
      stemWidth = try weights.require("conv1.6.weight", rank: 4)[0]
      (channels, stemWidths) = (first[1], [first[0], second[0]])
      return
    }
    let shape = try weights.require("conv1.weight", rank: 4)
    stem = try Stem(weights, "conv1.weight")
    (stemWidth, channels, stemWidths) = (shape[0], shape[1], [shape[0] / 2, shape[0] / 2])
  }

  private mutating func readStages(_ weights: WeightsView) throws(ModelError) {
    (depths, widths, outs, squeeze, groups) = ([], [], [], [], 1)
    (gate, squeezeBias, nonLocal, nonLocalWidths) = (.squeeze, true, [], [])
    (nonLocalNorm, nonLocalPool) = (true, true)
    while weights.has("layer\(depths.count + 1).0.conv1.weight") {
      let name = "layer\(depths.count + 1)"
      widths.append(try weights.require("\(name).0.conv1.weight", rank: 4)[0])
      try readMembers(weights, of: name)
      let last = block == .basic ? "conv2" : "conv3"
      outs.append(try weights.require("\(name).0.\(last).weight", rank: 4)[0])
      for (kind, layer) in Self.gates {
        if let reduced = weights.shape("\(name).0.se.\(layer).weight")?.first {
          (gate, squeezeBias) = (kind, weights.has("\(name).0.se.\(layer).bias"))
          squeeze.append(reduced)
        }
      }
      if block == .bottleneck {
        let spatial = try weights.require("\(name).0.conv2.weight", rank: 4)[1]
        let own = (widths.last ?? 0) / max(1, spatial)
        guard depths.count == 1 || own == groups else {
          throw ModelError(
            .unexpected, place: "tensor \"\(weights.foreignName("\(name).0.conv2.weight"))\"",
            found: "\(own) groups", expected: "\(groups), as in the stages before")
        }
        groups = max(1, own)
      }
    }
  }

  /// The layer of each kind of gate that makes the channels inside.
  private static let gates: [(Gate, String)] = [
    (.squeeze, "fc1"), (.nonLocal, "t"), (.context, "mlp_scale.fc1"),
    (.addedContext, "mlp_add.fc1"),
  ]

  /// Residual blocks of a stage, and non-local blocks among them.
  private mutating func readMembers(
    _ weights: WeightsView, of name: String
  ) throws(ModelError) {
    let before = depths.reduce(0, +)
    var (member, blocks) = (0, 0)
    while true {
      if weights.has("\(name).\(member).conv1.weight") {
        blocks += 1
      } else if let theta = weights.shape("\(name).\(member).theta.weight"), blocks > 0 {
        if nonLocal.isEmpty {
          nonLocalPool = weights.has("\(name).\(member).g.0.weight")
          nonLocalNorm = weights.has("\(name).\(member).W.1.weight")
        }
        nonLocal.append(before + blocks - 1)
        nonLocalWidths.append(theta.first ?? 0)
      } else {
        break
      }
      member += 1
    }
    depths.append(blocks)
  }

  private mutating func readShortcuts(_ weights: WeightsView) throws(ModelError) {
    averageDown = false
    let inputs = [stemWidth] + outs
    let fits = zip(inputs, outs).enumerated().map { stage, widths in
      stage == 0 && widths.0 == widths.1 && firstStride == 1
    }
    guard let stage = fits.firstIndex(of: false) else { return }
    let down = "layer\(stage + 1).0.downsample"
    averageDown = weights.shape("\(down).1.weight")?.count == 4
    if averageDown || weights.has("\(down).0.weight") {
      shortcut = .projection
    } else if shortcut == .projection, stem == .cifar, !preActivation {
      // The form of He et al. 2016 for CIFAR has shortcuts without parameters.
      shortcut = .padded
    }
  }

  /// What names and shapes do not tell, and what neighbours make doubtful.
  public static func doubts(_ weights: WeightsView) -> String? {
    let names = weights.contents.names
    let segments = names.contains {
      $0.hasPrefix("aux_classifier.") || $0.hasPrefix("classifier.4.") || $0.contains("aspp")
        || $0.hasPrefix("decode_head.") || $0.hasPrefix("auxiliary_head.")
    }
    return segments
      ? "the file is of a segmentation network, whose backbone often has dilated convolutions: "
        + "strides are assumed to be those of a classifier; say dilation=1-1-2-4 (output stride 8) or "
        + "1-1-1-2 (16) if they are not" : nil
  }
}
