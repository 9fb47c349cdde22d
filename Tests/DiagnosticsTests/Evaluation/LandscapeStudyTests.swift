import Testing

@testable import Diagnostics

@Suite struct LandscapeStudyTests {
  @Test func axesHoldTheirEndsAndTheOrigin() {
    let axis = LandscapeStudy.axis(-1...1, count: 21)
    #expect(axis.count == 21 && axis[0] == -1 && axis[10] == 0 && axis[20] == 1)
    #expect(axis[8] == -0.2 && axis[12] == 0.2 && axis == axis.reversed().map { 0 - $0 })
    let way = LandscapeStudy.axis(-0.25...1.25, count: 25)
    #expect(way[4] == 0 && way[20] == 1 && way[24] == 1.25)
    let odd = LandscapeStudy.axis(-0.7...0.7, count: 15)
    #expect(odd[7] == 0 && zip(odd, odd.dropFirst()).allSatisfy { $0 < $1 })
  }

  /// L = 1 + (2 a² + 2 a b + 6 b²) / 2: curvatures 2 and 6; the worst place within 0.5 is an end of b.
  @Test func shapesOfAQuadraticAreKnown() throws {
    let axis = LandscapeStudy.axis(-1...1, count: 5)
    let study = LandscapeStudy(.li, axes: [axis, axis], moving: [1])
    let losses = study.places.map { 1 + $0.x * $0.x + $0.x * $0.y + 3 * $0.y * $0.y }
    let shape = LandscapeShape(study, losses, origin: 1)
    #expect(shape.curvatures == [2, 6] && shape.barrier == nil)
    #expect(shape.worstRise == 0.75)
    var gaps = losses.map { Optional($0) }
    gaps[12 + 5] = nil
    let holed = LandscapeShape(study, gaps, origin: 1)
    #expect(holed.curvatures == [2, nil] && holed.worstRise == nil)
  }

  /// Loss 1 at the start, 2 at the end and 4 half-way: 2.5 above the straight line.
  @Test func barriersAreAboveTheStraightLine() {
    func study(_ axis: [Double]) -> LandscapeStudy {
      LandscapeStudy(
        .checkpoint, axes: [axis], targets: [.init(label: "b", sha256: "")], moving: [1])
    }
    let half = study([0, 0.5, 1])
    #expect(LandscapeShape(half, [1, 4, 2], origin: 1).barrier == 2.5)
    #expect(LandscapeShape(half, [1, 1.2, 2], origin: 1).barrier == 0)
    #expect(LandscapeShape(half, [1, nil, 2], origin: 1).barrier == nil)
    // Without the end there is no line to be above.
    #expect(LandscapeShape(study([0, 0.5]), [1, 4], origin: 1).barrier == nil)
    #expect(half.coefficients(half.places[1]) == [0.5, 0.5])
  }

  /// Lines of x + y on a grid: straight, and exactly there; a saddle falls into two.
  @Test func contoursLieAtTheirHeight() {
    let axis = [0.0, 1, 3]
    let plane = Contours(
      x: axis, y: axis, values: axis.map { y in axis.map { Optional($0 + y) } })
    let pieces = plane.pieces(2.5)
    #expect(pieces.count == 3)
    for (from, to) in pieces {
      #expect(abs(from.x + from.y - 2.5) < 1e-12 && abs(to.x + to.y - 2.5) < 1e-12)
    }
    #expect(plane.pieces(7).isEmpty)
    let saddle = Contours(x: [0, 1], y: [0, 1], values: [[1, 0], [0, 1]])
    #expect(saddle.pieces(0.25).count == 2 && saddle.pieces(0.75).count == 2)
    // The mean 0.5 is above 0.25: the high corners hang together, and each line cuts off a low one.
    for (from, to) in saddle.pieces(0.25) {
      #expect(abs(from.x - to.x) == 0.25 && abs(from.y - to.y) == 0.25)
      let isAtLow = (from.x + to.x > 1) != (from.y + to.y > 1)
      #expect(isAtLow)
    }
    let holed = Contours(x: [0, 1], y: [0, 1], values: [[1, 0], [nil, 1]])
    #expect(holed.pieces(0.5).isEmpty)
    let levels = Contours.levels(0.1...10, count: 3)
    #expect(levels.count == 3 && abs(levels[1] - 1) < 1e-12)
    #expect(Contours.levels(0...1, count: 3).isEmpty)
  }

  @Test func gridsThatMakeNoSenseAreRefused() {
    func study(_ axes: [[Double]], targets: Int = 0) -> LandscapeStudy {
      LandscapeStudy(
        targets > 0 ? .checkpoint : .li, axes: axes,
        targets: (0..<targets).map { .init(label: "\($0)", sha256: "") }, moving: [1])
    }
    #expect(
      study([[0, 1]]).isValid(models: 1) && study([[0], [0]], targets: 2).isValid(models: 1))
    for wrong in [
      study([]), study([[]]), study([[1, 0]]), study([[0, .nan]]), study([[0, 1]], targets: 2),
      study([[0], [0], [0]]),
    ] { #expect(!wrong.isValid(models: 1)) }
    #expect(!study([[0, 1]]).isValid(models: 2))
  }
}
