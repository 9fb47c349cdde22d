@testable import Tensors

/// A cross-correlation and its adjoints as plain Float64 sums over the places under a window.
struct PlainConvolution {
  let window: SlidingWindow
  /// `[N, H, W, in]`.
  let map: Shape
  /// `[out, kh, kw, in]`.
  let weight: Shape

  var output: Shape { Convolution(window: window).outputShape([map, weight]) }

  /// Offsets of a result, the place that it reads and the tap, each of its first channel.
  private func forEachMeeting(_ body: (_ result: Int, _ place: Int, _ tap: Int) -> Void) {
    let (height, width, channels) = (map[1], map[2], map[3])
    let output = output
    for n in 0..<output[0] {
      for oy in 0..<output[1] {
        for ox in 0..<output[2] {
          for ky in 0..<weight[1] {
            for kx in 0..<weight[2] {
              let y = oy * window.stride.height + ky * window.dilation.height - window.top
              let x = ox * window.stride.width + kx * window.dilation.width - window.left
              guard 0..<height ~= y, 0..<width ~= x else { continue }
              body(
                ((n * output[1] + oy) * output[2] + ox) * output[3],
                ((n * height + y) * width + x) * channels, (ky * weight[2] + kx) * channels)
            }
          }
        }
      }
    }
  }

  private func sums(
    _ shape: Shape, _ add: (_ result: Int, _ place: Int, _ tap: Int, inout [Double]) -> Void
  ) -> [Double] {
    var sums = [Double](repeating: 0, count: shape.count)
    forEachMeeting { add($0, $1, $2, &sums) }
    return sums
  }

  func results(_ x: Tensor, _ w: Tensor) -> [Double] {
    let (x, w, step, channels) = (x.values, w.values, weight.count / weight[0], map[3])
    return sums(output) { result, place, tap, sums in
      for o in 0..<weight[0] {
        for i in 0..<channels {
          sums[result + o] += Double(x[place + i]) * Double(w[o * step + tap + i])
        }
      }
    }
  }

  func inputGradient(_ dy: Tensor, _ w: Tensor) -> [Double] {
    let (dy, w, step, channels) = (dy.values, w.values, weight.count / weight[0], map[3])
    return sums(map) { result, place, tap, sums in
      for o in 0..<weight[0] {
        for i in 0..<channels {
          sums[place + i] += Double(dy[result + o]) * Double(w[o * step + tap + i])
        }
      }
    }
  }

  func weightGradient(_ x: Tensor, _ dy: Tensor) -> [Double] {
    let (x, dy, step, channels) = (x.values, dy.values, weight.count / weight[0], map[3])
    return sums(weight) { result, place, tap, sums in
      for o in 0..<weight[0] {
        for i in 0..<channels {
          sums[o * step + tap + i] += Double(dy[result + o]) * Double(x[place + i])
        }
      }
    }
  }
}

/// The largest difference, relative to the largest value expected.
func largestError(_ found: Tensor, _ expected: [Double]) -> Double {
  let largest = expected.reduce(0) { max($0, abs($1)) }
  return zip(found.values, expected).reduce(0) { max($0, abs(Double($1.0) - $1.1)) } / largest
}
