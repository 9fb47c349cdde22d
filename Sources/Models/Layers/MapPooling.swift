import Tensors

extension Tensor {
  /// The mean under windows of 2 x 2 at stride 2 on `[N, H, W, C]`; where an extent is odd, the last
  /// window holds a row or column less, or is left out.
  func averagedByTwo(keepingLast: Bool) -> Tensor {
    var x = self
    for axis in 1...2 where x.shape[axis] % 2 == 1 && (keepingLast || x.shape[axis] == 1) {
      // A row repeated: the mean of the two is the row.
      let last = x.slice(axis: axis, start: x.shape[axis] - 1, length: 1)
      x = Tensor.concatenated([x, last], axis: axis)
    }
    let quarter = Tensor(repeating: 0.25, shape: [2, 2, shape[3]])
    return x.depthwise(quarter, window: SlidingWindow(kernel: 2, stride: 2))
  }

  /// `[1 2 1]` by itself over 16 on `[N, H, W, C]`, the border mirrored (Zhang 2019).
  func blurred(stride: Int) -> Tensor {
    var x = self
    for axis in 1...2 {
      // A single row is its own mirror image.
      let (second, extent) = (min(1, x.shape[axis] - 1), x.shape[axis])
      let before = x.slice(axis: axis, start: second, length: 1)
      let after = x.slice(axis: axis, start: extent - 1 - second, length: 1)
      x = Tensor.concatenated([before, x, after], axis: axis)
    }
    let channels = shape[3]
    let kernel = Tensor(shape: [3, 3, channels]) { buffer in
      for index in buffer.indices {
        let (row, column) = (index / channels / 3, index / channels % 3)
        buffer[index] = (row == 1 ? 2 : 1) * (column == 1 ? 2 : 1) / 16
      }
    }
    return x.depthwise(kernel, window: SlidingWindow(kernel: 3, stride: stride))
  }

  /// Every second row and column of `[N, H, W, C]`, or all of them.
  func subsampled(stride: Int) -> Tensor {
    stride == 1 ? self : maxPooled(SlidingWindow(kernel: 1, stride: stride))
  }
}
