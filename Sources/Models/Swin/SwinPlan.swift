/// What a network of windowed attention is built of; the families of Swin differ in these.
struct SwinPlan: Sendable {
  /// One resolution.
  struct Stage: Sendable {
    /// Channels of a token.
    var width: Int
    /// Number of blocks.
    var depth: Int
    /// Attention heads.
    var heads: Int
    /// Channels of one head.
    var headWidth: Int
    /// Channels inside the perceptron.
    var hidden: Int
    /// The side of a window in tokens.
    var window: Int
    /// How many tokens become one along each axis before the stage; in the first, pixels.
    var pool: Int
  }

  /// Whose details they are.
  enum Form: Sendable {
    /// Liu et al. 2021: merging by a linear map of normalised neighbours, one table of positions a head.
    case original(shiftsPadding: Bool)
    /// xxxnell/how-do-vits-work: merging by convolution, one table for all heads, its own masks.
    case published
  }

  var imageSize: Int
  var channels: Int
  var classes: Int
  var stages: [Stage]
  var qkvBias: Bool
  var epsilon: Double
  var form: Form

  /// The sides of the maps of the stages.
  var sides: [Int] {
    var sides: [Int] = []
    for stage in stages {
      guard let side = sides.last else {
        sides.append(imageSize / max(1, stage.pool))
        continue
      }
      switch form {
      case .original: sides.append(side / 2 + side % 2)
      case .published: sides.append(side / max(1, stage.pool))
      }
    }
    return sides
  }
}
