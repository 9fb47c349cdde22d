/// What a surface of the loss amounts to in a few numbers.
struct LandscapeShape {
  /// The second derivative of the loss along each axis at its origin, from its neighbours on the grid; nil
  /// where there is none on both sides at the same distance.
  private(set) var curvatures: [Double?] = []
  /// The most that the loss rises from the origin within ``radius``; nil where a value is missing there.
  private(set) var worstRise: Double?
  /// On the line to a checkpoint, the most that the loss lies above the straight line between both ends
  /// (Frankle et al. 2020); nil elsewhere.
  private(set) var barrier: Double?

  /// The distance from the origin within which the loss rises, in steps of a direction.
  static let radius = 0.5

  /// - Parameters:
  ///   - losses: the mean loss at each of the study's places; nil where it is not finite.
  ///   - origin: the loss of the network as it is.
  init(_ study: LandscapeStudy, _ losses: [Double?], origin: Double?) {
    let places = Array(zip(study.places, losses))
    for axis in study.axes.indices {
      func loss(_ at: Double) -> Double? {
        places.first { (axis == 0 ? ($0.0.x, $0.0.y) : ($0.0.y, $0.0.x)) == (at, 0) }?.1
      }
      let right = study.axes[axis].first { $0 > 0 }
      let left = study.axes[axis].last { $0 < 0 }
      guard let right, let left, abs(right + left) < 1e-9 * right, let origin,
        let up = loss(right), let down = loss(left)
      else {
        curvatures.append(nil)
        continue
      }
      curvatures.append((up - 2 * origin + down) / (right * right))
    }
    let near = places.filter {
      $0.0.x * $0.0.x + $0.0.y * $0.0.y <= Self.radius * Self.radius * (1 + 1e-9)
    }
    let known = near.compactMap(\.1)
    if let origin, known.count == near.count, near.count > 1, let most = known.max() {
      worstRise = most - origin
    }
    guard study.direction == .checkpoint, !study.isPlane, let start = origin,
      let end = places.first(where: { $0.0.x == 1 })?.1
    else { return }
    let between = places.filter { (0...1).contains($0.0.x) }
    guard between.allSatisfy({ $0.1 != nil }) else { return }
    barrier = between.compactMap { place, loss in
      loss.map { $0 - ((1 - place.x) * start + place.x * end) }
    }.max()
  }
}
