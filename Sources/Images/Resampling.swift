import CImageCodecs

extension DecodedImage {
  /// The image resized to `width` x `height`, its samples those of Pillow's
  /// `resize((width, height), filter)`: one axis after the other, rounded to 8 bits in between; an
  /// axis that keeps its length is left alone.
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

/// A part of an image: columns `x ..< x + width`, rows `y ..< y + height`.
struct Window: Hashable {
  var x: Int
  var y: Int
  var width: Int
  var height: Int

  var columns: Range<Int> { x..<x + width }
  var rows: Range<Int> { y..<y + height }
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
  func check(_ width: Int, _ height: Int) throws(ImageDataError) {
    let (count, overflow) = width.multipliedReportingOverflow(by: height)
    guard width > 0, height > 0, !overflow, count <= limits.pixels else { throw tooLarge }
  }
  func axis(
    _ filter: cic_filter, _ input: Int, _ output: Int, _ outputs: Range<Int>
  ) throws(ImageDataError) -> Axis? {
    if input == output { return nil }
    guard let axis = Axis(filter, from: input, to: output, outputs) else { throw tooLarge }
    return axis
  }
  try check(window.width, window.height)
  guard let filter = interpolation.filter, target != (width, height) else {
    return nearest(
      source, width: width, height: height, channels: channels, to: target, window: window)
  }

  let across = try axis(filter, width, target.width, window.columns)
  let down = try axis(filter, height, target.height, window.rows)
  var plane = Plane(samples: source, columns: 0..<width, rows: 0..<height, channels: channels)
  // Pillow 13 begins with the height where that loses more rows than twice the columns; its earlier
  // releases always begin with the width. Where the aspect is kept, it matters to images that are
  // over twice as high as wide.
  if let down, target.height < height, height - target.height > 2 * (width - target.width) {
    let columns = across?.inputs ?? window.columns
    try check(columns.count, window.height)
    plane = plane.resampled(down: down, columns: columns)
    if let across { plane = plane.resampled(across: across, rows: window.rows) }
  } else {
    if let across {
      let rows = down?.inputs ?? window.rows
      try check(window.width, rows.count)
      plane = plane.resampled(across: across, rows: rows)
    }
    if let down { plane = plane.resampled(down: down, columns: window.columns) }
  }
  return plane.samples
}

/// One axis of a resize: for each output sample of a range, the input samples and their weights.
private struct Axis {
  let outputs: Range<Int>
  /// The input samples that the outputs need.
  let inputs: Range<Int>
  private let taps: Int
  private let starts: [Int32]
  private let lengths: [Int32]
  private let weights: [Int32]

  /// Nil if the table of weights would be absurdly large.
  init?(_ filter: cic_filter, from input: Int, to output: Int, _ outputs: Range<Int>) {
    taps = cic_tap_count(filter, input, output)
    let (entries, overflow) = taps.multipliedReportingOverflow(by: outputs.count)
    guard !overflow, entries <= 1 << 28 else { return nil }
    var starts = [Int32](repeating: 0, count: outputs.count)
    var lengths = starts
    var weights = [Int32](repeating: 0, count: entries)
    let status = cic_tap_weights(
      filter, input, output, outputs.lowerBound, outputs.count, taps, &starts, &lengths, &weights)
    guard status == CInt(CIC_OK), let first = starts.first, let last = starts.last,
      let length = lengths.last
    else { return nil }
    // Starts and ends grow with the output position.
    inputs = Int(first)..<Int(last + length)
    for i in starts.indices { starts[i] -= first }
    self.outputs = outputs
    self.starts = starts
    self.lengths = lengths
    self.weights = weights
  }

  /// `source` is the first sample of `inputs` in the first of `rows` rows.
  func runAcross(
    _ source: UnsafePointer<UInt8>, stride: Int, rows: Int, channels: Int,
    to target: UnsafeMutablePointer<UInt8>
  ) {
    cic_resample_x(
      source, stride, rows, channels, outputs.count, taps, starts, lengths, weights, target,
      outputs.count * channels)
  }

  /// `source` is the first of `width` bytes in the first row of `inputs`.
  func runDown(
    _ source: UnsafePointer<UInt8>, stride: Int, width: Int,
    to target: UnsafeMutablePointer<UInt8>
  ) {
    cic_resample_y(
      source, stride, width, outputs.count, taps, starts, lengths, weights, target, width)
  }
}

/// The samples of some columns and rows of an image.
private struct Plane {
  let samples: [UInt8]
  let columns: Range<Int>
  let rows: Range<Int>
  let channels: Int

  private var stride: Int { columns.count * channels }

  private func offset(column: Int, row: Int) -> Int {
    (row - rows.lowerBound) * stride + (column - columns.lowerBound) * channels
  }

  func resampled(across axis: Axis, rows: Range<Int>) -> Plane {
    let start = offset(column: axis.inputs.lowerBound, row: rows.lowerBound)
    let count = axis.outputs.count * rows.count * channels
    let result = filled(count) { source, target in
      axis.runAcross(
        source + start, stride: stride, rows: rows.count, channels: channels, to: target)
    }
    return Plane(samples: result, columns: axis.outputs, rows: rows, channels: channels)
  }

  func resampled(down axis: Axis, columns: Range<Int>) -> Plane {
    let start = offset(column: columns.lowerBound, row: axis.inputs.lowerBound)
    let width = columns.count * channels
    let result = filled(axis.outputs.count * width) { source, target in
      axis.runDown(source + start, stride: stride, width: width, to: target)
    }
    return Plane(samples: result, columns: columns, rows: axis.outputs, channels: channels)
  }

  private func filled(
    _ count: Int, _ body: (UnsafePointer<UInt8>, UnsafeMutablePointer<UInt8>) -> Void
  ) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { target, filled in
      samples.withUnsafeBufferPointer { source in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        body(from, to)
        filled = count
      }
    }
  }
}

/// Picks samples: output x shows input floor((x + 1/2) * in / out). Also serves as a plain crop.
private func nearest(
  _ source: [UInt8], width: Int, height: Int, channels: Int, to target: (width: Int, height: Int),
  window: Window
) -> [UInt8] {
  let columns = nearestPositions(from: width, to: target.width, window.columns)
  var result: [UInt8] = []
  result.reserveCapacity(window.width * window.height * channels)
  for y in nearestPositions(from: height, to: target.height, window.rows) {
    let row = y * width
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

/// The input sample of each output sample. Pillow adds up the steps, and so gets other samples than a
/// product would where a step ends between two.
private func nearestPositions(from input: Int, to output: Int, _ outputs: Range<Int>) -> [Int] {
  let step = Double(input) / Double(output)
  var position = step / 2
  for _ in 0..<outputs.lowerBound { position += step }
  return outputs.map { _ in
    defer { position += step }
    return min(Int(position), input - 1)
  }
}
