import CKernels

/// Max pooling of a channels-last map; padding counts as minus infinity.
struct MaxPool: Operation {
  let window: SlidingWindow
  func outputShape(_ x: [Shape]) -> Shape {
    precondition(
      max(window.top, window.bottom) < window.reach.height
        && max(window.left, window.right) < window.reach.width,
      "A pooling window \(window.kernel) that can lie wholly in the padding")
    let (oh, ow) = window.output(x[0])
    return [x[0][0], oh, ow, x[0][3]]
  }
  func forward(_ x: [Tensor], into y: Tensor) { sweep(x[0], into: y, places: nil) }

  fileprivate func sweep(_ x: Tensor, into y: Tensor, places: UnsafeMutablePointer<Int32>?) {
    let geometry = window.geometry(x.shape)
    let (px, py) = (x.memory, y.memory)
    let at = places.map { DisjointWrites($0) }
    Threads.forEach(x.shape[0]) { image in
      withUnsafePointer(to: geometry) {
        ck_max_pool(px.pointer, py.pointer, at?.pointer, $0, image, 1)
      }
    }
  }
  func kept(needs: [Bool]) -> SavedValues { .first }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [ScatterPlaces(places: Places(ofLargest: x[0], self, result: y.shape), result: x[0].shape)(dy)]
  }
}

/// For each value of a pooled map, where in its image the value comes from.
struct Places: Sendable {
  let shape: Shape
  let offsets: [Int32]

  /// The places of the (first) largest values.
  fileprivate init(ofLargest x: Tensor, _ pool: MaxPool, result: Shape) {
    let values = Tensor(uninitialized: result)
    shape = result
    offsets = [Int32](unsafeUninitializedCapacity: result.count) { buffer, count in
      pool.sweep(x, into: values, places: buffer.baseAddress)
      count = result.count
    }
  }

  /// Runs `body` on each of the images, with how many places it has, and its offsets.
  fileprivate func forEachImage(
    _ body: @Sendable (_ image: Int, _ count: Int, UnsafePointer<Int32>) -> Void
  ) {
    let count = shape.count / max(1, shape[0])
    Threads.forEach(shape[0]) { [offsets] image in
      offsets.withUnsafeBufferPointer { buffer in
        if let base = buffer.baseAddress { body(image, count, base + image * count) }
      }
    }
  }
}

/// Values put back where they come from; the adjoint of ``GatherPlaces``.
struct ScatterPlaces: Operation {
  let places: Places
  let result: Shape
  func outputShape(_ x: [Shape]) -> Shape { result }
  func forward(_ x: [Tensor], into y: Tensor) {
    let into = result.count / max(1, result[0])
    let (px, py) = (x[0].memory, y.memory)
    places.forEachImage { image, count, offsets in
      ck_scatter_indexed(px + image * count, offsets, py + image * into, into, count, 1)
    }
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [GatherPlaces(places: places)(dy)]
  }
}

/// Values picked from where ``Places`` says.
struct GatherPlaces: Operation {
  let places: Places
  func outputShape(_ x: [Shape]) -> Shape { places.shape }
  func forward(_ x: [Tensor], into y: Tensor) {
    let from = x[0].shape.count / max(1, x[0].shape[0])
    let (px, py) = (x[0].memory, y.memory)
    places.forEachImage { image, count, offsets in
      ck_gather_indexed(px + image * from, offsets, py + image * count, from, count, 1)
    }
  }
  func kept(needs: [Bool]) -> SavedValues { [] }
  func vjp(_ x: [Tensor], _ y: Tensor, _ dy: Tensor, needs: [Bool]) -> [(any Cotangent)?] {
    [ScatterPlaces(places: places, result: x[0].shape)(dy)]
  }
}

extension Tensor {
  /// Max pooling of a map `[N, H, W, C]`.
  public func maxPooled(_ window: SlidingWindow) -> Tensor { MaxPool(window: window)(self) }

  /// The mean over positions of a map `[N, H, W, C]` or a sequence `[N, T, C]`: `[N, C]`.
  public func globalAverage() -> Tensor {
    reshaped([shape[0], shape.count / max(1, shape[0] * shape.last), shape.last]).mean(axis: 1)
  }
}
