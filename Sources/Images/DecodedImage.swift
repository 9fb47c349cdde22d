import CImageCodecs

/// One image in memory, channels last, rows from top to bottom.
public struct DecodedImage: Sendable, Hashable {
  /// The values, height x width x channels of them.
  public enum Pixels: Sendable, Hashable {
    /// 8-bit samples, 0...255.
    case bytes([UInt8])
    /// Values that were already normalised for a model, taken as they are.
    case normalised([Float])
  }

  /// Columns.
  public let width: Int
  /// Rows.
  public let height: Int
  /// 1 (grey) or 3 (red, green, blue).
  public let channels: Int
  /// The values, `[height, width, channels]`.
  public let pixels: Pixels
  /// What a careful reader should know of the decoding: damage that was stepped over, or a lossy
  /// conversion. Most images have none.
  public let note: String?

  /// Creates an image.
  /// - Precondition: `pixels` has `width * height * channels` values; of bytes `channels` is 1 or 3.
  public init(width: Int, height: Int, channels: Int, pixels: Pixels, note: String? = nil) {
    let (count, isOfColours) =
      switch pixels {
      case .bytes(let values): (values.count, channels == 1 || channels == 3)
      case .normalised(let values): (values.count, channels > 0)
      }
    precondition(
      width > 0 && height > 0 && isOfColours && count == width * height * channels,
      "\(count) values for an image of \(width) x \(height) with \(channels) channels")
    self.width = width
    self.height = height
    self.channels = channels
    self.pixels = pixels
    self.note = note
  }
}

extension DecodedImage {
  /// Decodes an image file held in memory: PNG, JPEG, PBM, PGM, PPM, BMP, TIFF or WebP; the content
  /// decides which, not the name.
  ///
  /// The samples equal those of Pillow's `Image.open(...).convert("RGB")`, except that grey images
  /// keep their one channel: alpha is dropped, 16-bit grey saturates at 255 (with a `note`), CMYK is
  /// converted without a colour profile, EXIF rotation is ignored (as torchvision does; the
  /// orientation of a TIFF is followed), ICC and gamma too. Stricter than Pillow in one point: a PNG
  /// must reach its end chunk.
  /// - Parameters:
  ///   - bytes: the whole file.
  ///   - name: how to call the file in errors.
  public init(
    decoding bytes: [UInt8], name: String, limits: ImageLimits = ImageLimits()
  ) throws(ImageDataError) {
    let result = bytes.withUnsafeBufferPointer { buffer -> Result<DecodedImage, ImageDataError> in
      switch EncodedFormat(bytes.prefix(16)) {
      case .png:
        DecodedImage.run(
          buffer, name, limits, "PNG", open: cic_png_open, read: cic_png_read,
          close: cic_png_close)
      case .jpeg:
        DecodedImage.run(
          buffer, name, limits, "JPEG", open: cic_jpeg_open, read: cic_jpeg_read,
          close: cic_jpeg_close)
      case .webp:
        DecodedImage.run(
          buffer, name, limits, "WebP", open: cic_webp_open, read: cic_webp_read,
          close: cic_webp_close)
      case .tiff:
        DecodedImage.run(
          buffer, name, limits, "TIFF", open: cic_tiff_open, read: cic_tiff_read,
          close: cic_tiff_close)
      case .bmp:
        DecodedImage.run(
          buffer, name, limits, "BMP", open: cic_bmp_open, read: cic_bmp_read,
          close: cic_bmp_close)
      case .netpbm:
        DecodedImage.run(
          buffer, name, limits, "PPM", open: cic_netpbm_open, read: cic_netpbm_read,
          close: cic_netpbm_close)
      case .other(let found):
        .failure(
          ImageDataError(
            found.isKnown ? .unsupported : .damaged, file: name, found: found.text,
            expected: EncodedFormat.readable,
            advice: found.isKnown ? "Convert it to PNG first" : nil))
      }
    }
    self = try result.get()
  }

  /// Drives one of the C decoders, which share their shape.
  private static func run(
    _ buffer: UnsafeBufferPointer<UInt8>, _ name: String, _ limits: ImageLimits, _ format: String,
    open: (
      UnsafePointer<UInt8>?, Int, UnsafePointer<cic_limits>?, UnsafeMutablePointer<cic_info>?,
      UnsafeMutablePointer<OpaquePointer?>?
    ) -> CInt,
    read: (OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<cic_info>?) -> CInt,
    close: (OpaquePointer?) -> Void
  ) -> Result<DecodedImage, ImageDataError> {
    var bounds = cic_limits(
      max_pixels: UInt64(clamping: limits.pixels), max_scans: Int32(clamping: limits.scans))
    var info = cic_info()
    var decoder: OpaquePointer?
    var status = open(buffer.baseAddress, buffer.count, &bounds, &info, &decoder)
    defer { close(decoder) }
    guard status == CInt(CIC_OK) else {
      return .failure(failure(status, info, name, format, limits))
    }
    let (width, height, channels) = (Int(info.width), Int(info.height), Int(info.channels))
    let count = width * height * channels
    let pixels = [UInt8](unsafeUninitializedCapacity: count) { target, filled in
      status = read(decoder, target.baseAddress, &info)
      filled = status == CInt(CIC_OK) ? count : 0
    }
    guard status == CInt(CIC_OK) else {
      return .failure(failure(status, info, name, format, limits))
    }
    return .success(
      DecodedImage(
        width: width, height: height, channels: channels, pixels: .bytes(pixels),
        note: note(info, format)))
  }

  private static func note(_ info: cic_info, _ format: String) -> String? {
    var notes: [String] = []
    if info.notes & UInt32(CIC_NOTE_GREY16) != 0 {
      notes.append("16-bit grey: values above 255 are read as 255, as Pillow does")
    }
    if info.notes & UInt32(CIC_NOTE_FIRST_PAGE) != 0 {
      notes.append("\(format) of several pages or frames, of which the first is read")
    }
    if info.notes & UInt32(CIC_NOTE_WARNINGS) != 0 { notes.append("\(format): \(text(info))") }
    return notes.isEmpty ? nil : notes.joined(separator: "; ")
  }

  private static func failure(
    _ status: CInt, _ info: cic_info, _ name: String, _ format: String, _ limits: ImageLimits
  ) -> ImageDataError {
    switch Int(status) {
    case CIC_UNSUPPORTED:
      ImageDataError(
        .unsupported, file: name, found: "\(format) with \(text(info))",
        advice: "Convert it to PNG first")
    case CIC_TOO_LARGE:
      ImageDataError(
        .tooLarge, file: name, found: "\(format) of \(text(info))",
        expected: "at most \(limits.pixels) pixels and \(limits.scans) scans")
    case CIC_NO_MEMORY:
      ImageDataError(.tooLarge, file: name, found: "not enough memory to decode the \(format)")
    default:
      ImageDataError(.damaged, file: name, found: "damaged \(format): \(text(info))")
    }
  }

  private static func text(_ info: cic_info) -> String {
    withUnsafeBytes(of: info.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}
