import CImageCodecs

/// What the compression of an image as JPEG makes of it, by libjpeg-turbo as Pillow sets it.
struct JPEGCompression {
  /// From 1 to 100.
  let quality: Int

  /// Compresses an image and decodes it. Samples in `0...1` are rounded to 256 levels before; three channels
  /// are taken for RGB, of any other number each is compressed as grey.
  ///
  /// - Parameter image: `[height, width, channels]`.
  func apply(to image: inout [Double], height: Int, width: Int, channels: Int) {
    let (parts, depth) = channels == 3 ? (1, 3) : (channels, 1)
    for part in 0..<parts {
      var places: [Int] = []
      for pixel in 0..<(height * width) {
        for channel in 0..<depth { places.append(pixel * channels + part + channel) }
      }
      // What is no number has no level, and stays what it is.
      var pixels = places.map { image[$0] > 0 ? UInt8((min(image[$0], 1) * 255).rounded()) : 0 }
      var info = cic_info()
      let status = cic_jpeg_round_trip(
        &pixels, UInt32(width), UInt32(height), UInt32(depth), Int32(quality), &info)
      precondition(
        Int(status) == Int(CIC_OK), "libjpeg cannot compress \(width) x \(height) pixels")
      for (place, pixel) in zip(places, pixels) where !image[place].isNaN {
        image[place] = Double(pixel) / 255
      }
    }
  }
}
