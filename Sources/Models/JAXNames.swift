extension KeyMapping.Rule {
  /// A normalisation by the names of Flax: `scale`, `bias`.
  static func jaxNorm(_ own: String, _ theirs: String) -> [KeyMapping.Rule] {
    [.rename("\(own).weight", "\(theirs).scale"), .rename("\(own).bias", "\(theirs).bias")]
  }

  /// A product or a convolution by the names of Flax: `kernel`, its outputs last, and `bias`.
  static func jaxDense(_ own: String, _ theirs: String, inputs: Int = 1) -> [KeyMapping.Rule] {
    [
      .outputsLast("\(own).weight", ["\(theirs).kernel"], inputs: inputs),
      .rename("\(own).bias", "\(theirs).bias"),
    ]
  }
}
