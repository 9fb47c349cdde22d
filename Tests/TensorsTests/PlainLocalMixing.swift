@testable import Tensors

/// ``LocalMixing`` and its adjoints as plain Float64 sums over images, places, taps and channels.
struct PlainLocalMixing {
  let window: SlidingWindow
  /// `[N, H, W, C]`.
  let map: Shape
  /// `[N or 1, P or 1, K, G]`.
  let weights: Shape

  var output: Shape { LocalMixing(window: window).outputShape([map, weights]) }

  /// Offsets of the places of a result, a map and the weights that meet.
  private func sums(
    _ shape: Shape, _ add: (_ result: Int, _ place: Int, _ weight: Int, inout [Double]) -> Void
  ) -> Reference {
    let (output, channels, groups) = (output, map[3], weights[3])
    var sums = [Double](repeating: 0, count: shape.count)
    for place in Reference.places([output[0], output[1], output[2], weights[2], channels]) {
      let (n, oy, ox, tap, c) = (place[0], place[1], place[2], place[3], place[4])
      let y = oy * window.stride.height + tap / window.kernelWidth - window.top
      let x = ox * window.stride.width + tap % window.kernelWidth - window.left
      guard 0..<map[1] ~= y, 0..<map[2] ~= x else { continue }
      let image = weights[0] == 1 ? 0 : n
      let position = weights[1] == 1 ? 0 : oy * output[2] + ox
      let group = c / (channels / groups)
      add(
        ((n * output[1] + oy) * output[2] + ox) * channels + c,
        ((n * map[1] + y) * map[2] + x) * channels + c,
        ((image * weights[1] + position) * weights[2] + tap) * groups + group, &sums)
    }
    return Reference(shape.dimensions, sums)
  }

  func results(_ x: Reference, _ w: Reference) -> Reference {
    sums(output) { $3[$0] += x.values[$1] * w.values[$2] }
  }

  func mapGradient(_ dy: Reference, _ w: Reference) -> Reference {
    sums(map) { $3[$1] += dy.values[$0] * w.values[$2] }
  }

  func weightGradient(_ x: Reference, _ dy: Reference) -> Reference {
    sums(weights) { $3[$2] += x.values[$1] * dy.values[$0] }
  }
}
