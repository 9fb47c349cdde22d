import CImageCodecs

/// A part of an image: columns `x ..< x + width`, rows `y ..< y + height`.
struct Window: Hashable {
  var x: Int
  var y: Int
  var width: Int
  var height: Int
}

/// One axis of a resize: for each output sample of a window, the input samples and their weights.
private struct Axis {
  let taps: Int
  var starts: [Int32]
  let lengths: [Int32]
  let weights: [Int32]

  /// The input samples that the window needs.
  let reach: Range<Int>

  init?(_ filter: cic_filter, from input: Int, to output: Int, first: Int, count: Int) {
    taps = cic_tap_count(filter, input, output)
    let (entries, overflow) = taps.multipliedReportingOverflow(by: count)
    guard !overflow, entries <= 1 << 28 else { return nil }
    var starts = [Int32](repeating: 0, count: count)
    var lengths = starts
    var weights = [Int32](repeating: 0, count: entries)
    let status = cic_tap_weights(
      filter, input, output, first, count, taps, &starts, &lengths, &weights)
    guard status == CInt(CIC_OK) else { return nil }
    // Starts and ends grow with the output position.
    let low = Int(starts.first ?? 0)
    let high = Int(starts.last ?? 0) + Int(lengths.last ?? 0)
    reach = low..<max(low, high)
    self.starts = starts
    self.lengths = lengths
    self.weights = weights
  }
}

extension DecodedImage {
  /// The image resized to `width` x `height`, its samples those of Pillow's
  /// `resize((width, height), filter)`: first along x, rounded to 8 bits, then along y; an axis that
  /// keeps its length is left alone.
  ///
  /// - Throws: `mismatch` for an image of normalised values, `tooLarge` beyond the limit.
  public func resized(
    width: Int, height: Int, interpolation: Interpolation, limits: ImageLimits = ImageLimits()
  ) throws(ImageDataError) -> DecodedImage {
    guard case .bytes(let samples) = pixels else {
      throw ImageDataError(
        .mismatch, file: "", found: "an image that is already normalised",
        expected: "8-bit samples", advice: "Normalised arrays cannot be resized")
    }
    let window = Window(x: 0, y: 0, width: width, height: height)
    let resized = try resample(
      samples, width: self.width, height: self.height, channels: channels,
      to: (width, height), window: window, interpolation, limits)
    return DecodedImage(
      width: width, height: height, channels: channels, pixels: .bytes(resized), note: note)
  }
}

/// The samples of `window` of `source` resized to `target`. Only what the window shows is computed,
/// which changes no sample.
func resample(
  _ source: [UInt8], width: Int, height: Int, channels: Int, to target: (width: Int, height: Int),
  window: Window, _ interpolation: Interpolation, _ limits: ImageLimits
) throws(ImageDataError) -> [UInt8] {
  let tooLarge = ImageDataError(
    .tooLarge, file: "",
    found: "resizing \(width) x \(height) to \(target.width) x \(target.height) pixels",
    expected: "at most \(limits.pixels) pixels at each step",
    advice: "Choose a smaller image size, or leave such images out")
  func sampleCount(_ width: Int, _ height: Int) throws(ImageDataError) -> Int {
    let (count, overflow) = width.multipliedReportingOverflow(by: height)
    guard width > 0, height > 0, !overflow, count <= limits.pixels else { throw tooLarge }
    return count * channels
  }
  let outputCount = try sampleCount(window.width, window.height)
  guard let filter = interpolation.filter, target != (width, height) else {
    return nearest(
      source, width: width, height: height, channels: channels, to: target, window: window)
  }

  let vertical: Axis?
  if target.height != height {
    guard
      let axis = Axis(
        filter, from: height, to: target.height, first: window.y, count: window.height)
    else { throw tooLarge }
    vertical = axis
  } else {
    vertical = nil
  }
  let rows = vertical?.reach ?? window.y..<window.y + window.height
  let rowBytes = window.width * channels

  // After the first pass, `samples` holds the rows `rows` and the columns of the window, from
  // `offset` on and `stride` bytes apart.
  var samples = source
  var stride = width * channels
  var offset = rows.lowerBound * stride + window.x * channels
  if target.width != width {
    guard
      let axis = Axis(
        filter, from: width, to: target.width, first: window.x, count: window.width)
    else { throw tooLarge }
    let count = try sampleCount(window.width, rows.count)
    samples = [UInt8](unsafeUninitializedCapacity: count) { target, filled in
      source.withUnsafeBufferPointer { source in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        cic_resample_x(
          from + rows.lowerBound * stride, stride, rows.count, channels, axis.starts.count,
          axis.taps, axis.starts, axis.lengths, axis.weights, to, rowBytes)
        filled = count
      }
    }
    stride = rowBytes
    offset = 0
  }
  guard var vertical else {
    return samples
  }
  for i in vertical.starts.indices { vertical.starts[i] -= Int32(rows.lowerBound) }
  return [UInt8](unsafeUninitializedCapacity: outputCount) { target, filled in
    samples.withUnsafeBufferPointer { source in
      guard let from = source.baseAddress, let to = target.baseAddress else { return }
      cic_resample_y(
        from + offset, stride, rowBytes, vertical.starts.count, vertical.taps, vertical.starts,
        vertical.lengths, vertical.weights, to, rowBytes)
      filled = outputCount
    }
  }
}

/// Picks samples: output x shows input floor((x + 1/2) * in / out). Also serves as a plain crop.
private func nearest(
  _ source: [UInt8], width: Int, height: Int, channels: Int, to target: (width: Int, height: Int),
  window: Window
) -> [UInt8] {
  func position(_ i: Int, _ input: Int, _ output: Int) -> Int {
    min(Int((Double(i) + 0.5) * (Double(input) / Double(output))), input - 1)
  }
  let columns = (window.x..<window.x + window.width).map { position($0, width, target.width) }
  var result: [UInt8] = []
  result.reserveCapacity(window.width * window.height * channels)
  for y in window.y..<window.y + window.height {
    let row = position(y, height, target.height) * width
    if target.width == width {
      let start = (row + window.x) * channels
      result += source[start..<start + window.width * channels]
    } else {
      for x in columns {
        let start = (row + x) * channels
        result += source[start..<start + channels]
      }
    }
  }
  return result
}
