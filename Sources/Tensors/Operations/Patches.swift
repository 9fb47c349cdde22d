import CKernels

/// What a window sees at each of its places: `[N, H, W, C]` to `[N, places, taps, C]`, zeros outside.
struct Unfold: Operation {
  let window: SlidingWindow

  func outputShape(_ x: [Shape]) -> Shape {
    let (height, width) = window.output(x[0])
    return [x[0][0], height * width, window.kernelHeight * window.kernelWidth, x[0][3]]
  }
  func forward(_ x: [Tensor], into y: Tensor) {
    let geometry = window.geometry(x[0].shape)
    let patch = y.shape[2] * y.shape[3]
    let (px, py) = (x[0].memory, y.memory)
    Threads.forEachTile(of: y.shape[0] * y.shape[1], target: max(1, (1 << 18) / max(1, patch))) {
      first, count in
      withUnsafePointer(to: geometry) {
        ck_im2col(px.pointer, py + first * patch, $0, first, count)
      }
    }
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [Fold(window: window, map: x[0].shape)(dy)]
  }
}

/// The adjoint of ``Unfold``: what each place of a map is seen as, summed.
struct Fold: Operation {
  let window: SlidingWindow
  let map: Shape

  func outputShape(_ x: [Shape]) -> Shape {
    let patches = Unfold(window: window).outputShape([map])
    precondition(x[0] == patches, "Patches \(x[0]) do not make a map \(map), as \(patches) do")
    return map
  }
  func forward(_ x: [Tensor], into y: Tensor) {
    let geometry = window.geometry(map)
    let image = x[0].shape.count / max(1, map[0])
    let (px, py) = (x[0].memory, y.memory)
    Threads.forEach(map[0]) { index in
      withUnsafePointer(to: geometry) { ck_col2im(px + index * image, py.pointer, $0, index, 1) }
    }
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [Unfold(window: window)(dy)]
  }
}

extension Tensor {
  /// What a window sees of a map `[N, H, W, C]` at each of its places: `[N, places, kh kw, C]`, zeros
  /// outside (PyTorch's `unfold`, which has channels before taps and places last).
  public func unfolded(_ window: SlidingWindow) -> Tensor { Unfold(window: window)(self) }

  /// A map `[N, height, width, C]` from what a window sees of it, `[N, places, kh kw, C]`, what is seen
  /// several times summed (PyTorch's `fold`).
  public func folded(_ window: SlidingWindow, height: Int, width: Int) -> Tensor {
    Fold(window: window, map: [shape[0], height, width, shape[3]])(self)
  }
}
