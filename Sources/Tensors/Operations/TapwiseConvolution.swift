import CKernels

/// A cross-correlation over so small a map that much of its window lies outside: a plain product for each
/// pair of a result and a place under its window, and none for the zeros around.
///
/// A 3x3 window with padding 1 meets 1 place of a map of 1x1 and 16 of the 36 of one of 2x2.
struct TapwiseConvolution {
  /// A result, the place of the map that it reads, and the tap of the window that this is under.
  struct Meeting {
    let result: Int
    let place: Int
    let tap: Int
  }
  private let meetings: [Meeting]
  private let images: Int
  private let places: Int
  private let results: Int
  private let taps: Int

  /// Nil where patches with their zeros take no more time.
  init?(_ window: SlidingWindow, _ map: Shape, _ output: Shape) {
    let g = window.geometry(map)
    (images, places, results, taps) = (map[0], g.h * g.w, g.oh * g.ow, g.kh * g.kw)
    // Only of maps that few windows cover is it worth to count.
    guard results <= 16, taps > 1 else { return nil }
    var meetings: [Meeting] = []
    for result in 0..<results {
      for tap in 0..<taps {
        let y = result / g.ow * g.stride_h + tap / g.kw * g.dilation_h - g.pad_top
        let x = result % g.ow * g.stride_w + tap % g.kw * g.dilation_w - g.pad_left
        guard 0..<g.h ~= y, 0..<g.w ~= x else { continue }
        meetings.append(Meeting(result: result, place: y * g.w + x, tap: tap))
      }
    }
    self.meetings = meetings
    // Each product has the rows of one place only, and the innermost loops run on so many at a time.
    let rows = (images + Panels.rowUnit - 1) / Panels.rowUnit * Panels.rowUnit
    guard 5 * rows * meetings.count < 4 * images * results * taps else { return nil }
  }

  /// `y[N, H', W', out]` of a map `x[N, H, W, in]` and weights `[out, kh, kw, in]`.
  func run(_ x: Tensor, _ weight: Tensor, into y: Tensor) {
    let (out, channels) = (weight.shape[0], weight.shape[3])
    let panels = panels { tap in
      Panels(
        weight.pointer + tap * channels, ldb: taps * channels, transposed: true, k: channels, n: out
      )
    }
    let (px, py) = (x.memory, y.memory)
    let meetings = Dictionary(grouping: meetings, by: \.result)
    Panels.forEachTile(of: images, by: out, parts: results) { result, rows, columns in
      let c = py + (rows.lowerBound * results + result) * out
      sum(meetings[result], rows, columns, c, ldc: results * out) { meeting, adding in
        panels[meeting.tap]?.multiply(
          rows.count, px + (rows.lowerBound * places + meeting.place) * channels,
          lda: places * channels, c, ldc: results * out, adding: adding, columns: columns)
      }
    }
  }

  /// `dx[N, H, W, in]`, the adjoint in the map, of `dy[N, H', W', out]`.
  func runInputGradient(_ dy: Tensor, _ weight: Tensor, into dx: Tensor) {
    let (out, channels) = (weight.shape[0], weight.shape[3])
    let panels = panels { tap in
      Panels(
        weight.pointer + tap * channels, ldb: taps * channels, transposed: false, k: out,
        n: channels)
    }
    let (pd, px) = (dy.memory, dx.memory)
    let meetings = Dictionary(grouping: meetings, by: \.place)
    Panels.forEachTile(of: images, by: channels, parts: places) { place, rows, columns in
      let c = px + (rows.lowerBound * places + place) * channels
      sum(meetings[place], rows, columns, c, ldc: places * channels) { meeting, adding in
        panels[meeting.tap]?.multiply(
          rows.count, pd + (rows.lowerBound * results + meeting.result) * out, lda: results * out,
          c, ldc: places * channels, adding: adding, columns: columns)
      }
    }
  }

  /// `dw[out, kh, kw, in]`, the adjoint in the weights: sums over images and over results.
  func runWeightGradient(_ x: Tensor, _ dy: Tensor, into dw: Tensor) {
    let (out, channels) = (dy.shape[3], x.shape[3])
    let panels = (0..<places).map { place in
      Panels(
        x.pointer + place * channels, ldb: places * channels, transposed: false, k: images,
        n: channels)
    }
    let (pd, pw) = (dy.memory, dw.memory)
    let meetings = Dictionary(grouping: meetings, by: \.tap)
    Panels.forEachTile(of: out, by: channels, parts: taps) { tap, rows, columns in
      let c = pw + (rows.lowerBound * taps + tap) * channels
      sum(meetings[tap], rows, columns, c, ldc: taps * channels) { meeting, adding in
        panels[meeting.place].multiply(
          rows.count, pd + meeting.result * out + rows.lowerBound, lda: results * out,
          transposed: true, c, ldc: taps * channels, adding: adding, columns: columns)
      }
    }
  }

  /// Of the taps that meet a place at all.
  private func panels(_ pack: (_ tap: Int) -> Panels) -> [Int: Panels] {
    Dictionary(uniqueKeysWithValues: Set(meetings.map(\.tap)).map { ($0, pack($0)) })
  }

  /// The products of a tile of C one after the other, or zeros where there are none.
  private func sum(
    _ meetings: [Meeting]?, _ rows: Range<Int>, _ columns: Range<Int>,
    _ c: UnsafeMutablePointer<Float>, ldc: Int, _ product: (Meeting, _ adding: Bool) -> Void
  ) {
    guard let meetings else {
      for row in 0..<rows.count {
        (c + row * ldc + columns.lowerBound).update(repeating: 0, count: columns.count)
      }
      return
    }
    for (index, meeting) in meetings.enumerated() { product(meeting, index > 0) }
  }
}
