import SharedLibraries

/// Figures as PDF and PNG, drawn from their SVG by librsvg and cairo.
///
/// The libraries are loaded when the first figure is printed and not linked, because they bring some
/// forty others with them: a program that writes SVG starts without them and runs where they are not
/// installed. The same figure, fonts and libraries give the same bytes.
public final class FigurePrinter {
  /// Why figures cannot be printed, and what to install.
  public typealias Failure = SharedLibrary.Failure

  private typealias Pointer = UnsafeMutableRawPointer
  private typealias Sink =
    @convention(c) (Pointer?, UnsafePointer<UInt8>?, UInt32) -> Int32

  private let rsvg: SharedLibrary
  private let cairo: SharedLibrary
  private let glib: SharedLibrary

  /// Loads the libraries, and looks for a font to set words in.
  ///
  /// - Parameter setting: its font must be installed: another would be taken for it without a word.
  public init(for setting: FigureSetting) throws(Failure) {
    rsvg = try Self.load("librsvg-2.so.2", package: "librsvg2-2")
    cairo = try Self.load("libcairo.so.2", package: "libcairo2")
    glib = try Self.load("libgobject-2.0.so.0", package: "libglib2.0-0")
    try Self.checkFonts(setting.font)
  }

  /// The figure as a PDF page of its size, with the glyphs that it uses inside and no date.
  public func pdf(_ figure: Figure) throws(Failure) -> [UInt8] {
    typealias Create =
      @convention(c) (Sink, Pointer?, Double, Double) -> Pointer?
    typealias SetMetadata = @convention(c) (Pointer?, Int32, UnsafePointer<CChar>) -> Void
    let create: Create = try cairo["cairo_pdf_surface_create_for_stream"]
    let setMetadata: SetMetadata = try cairo["cairo_pdf_surface_set_metadata"]
    let size = figure.pageSize
    // 72 points are 96 pixels.
    let (width, height) = (size.width * 0.75, size.height * 0.75)
    let bytes = Bytes()
    let surface = create(Self.sink, bytes.pointer, width, height)
    // CAIRO_PDF_METADATA_TITLE and _CREATE_DATE: without the second, the time of the call is written.
    setMetadata(surface, 0, figure.title.isEmpty ? figure.name : figure.title)
    setMetadata(surface, 5, "2000-01-01T00:00:00Z")
    try draw(figure, on: surface, width: width, height: height)
    try finish(surface)
    return bytes.value
  }

  /// The figure as a PNG, white behind it.
  ///
  /// - Parameter resolution: pixels an inch.
  public func png(_ figure: Figure, resolution: Double = 300) throws(Failure) -> [UInt8] {
    typealias Create = @convention(c) (Int32, Int32, Int32) -> Pointer?
    typealias Write = @convention(c) (Pointer?, Sink, Pointer?) -> Int32
    let create: Create = try cairo["cairo_image_surface_create"]
    let write: Write = try cairo["cairo_surface_write_to_png_stream"]
    let size = figure.pageSize
    let scale = resolution / 96
    let (width, height) = ((size.width * scale).rounded(.up), (size.height * scale).rounded(.up))
    guard width * height < 0x1p28, width < 32_000, height < 32_000 else {
      throw Failure(
        description:
          "\(figure.name): \(Int(width)) x \(Int(height)) pixels are too many for a PNG; "
          + "take pdf")
    }
    // CAIRO_FORMAT_RGB24: the page is opaque.
    let surface = create(1, Int32(width), Int32(height))
    try draw(figure, on: surface, width: width, height: height)
    let bytes = Bytes()
    let status = write(surface, Self.sink, bytes.pointer)
    try finish(surface)
    try check(status, "cairo_surface_write_to_png_stream")
    return bytes.value
  }

  private static func load(_ name: String, package: String) throws(Failure) -> SharedLibrary {
    try SharedLibrary(
      name, package: package, use: "figures as PDF or PNG need",
      advice: "apt-get install librsvg2-2 fonts-liberation; or take svg")
  }

  // MARK: Drawing

  private func draw(
    _ figure: Figure, on surface: Pointer?, width: Double, height: Double
  ) throws(Failure) {
    typealias Make = @convention(c) (Pointer?) -> Pointer?
    typealias Free = @convention(c) (Pointer?) -> Void
    typealias Read =
      @convention(c) (UnsafePointer<UInt8>?, Int, UnsafeMutablePointer<Pointer?>?) -> Pointer?
    typealias Render =
      @convention(c) (
        Pointer?, Pointer?, UnsafePointer<Double>?, UnsafeMutablePointer<Pointer?>?
      ) -> Int32
    typealias Status = @convention(c) (Pointer?) -> Int32
    let read: Read = try rsvg["rsvg_handle_new_from_data"]
    let render: Render = try rsvg["rsvg_handle_render_document"]
    let unref: Free = try glib["g_object_unref"]
    let makeContext: Make = try cairo["cairo_create"]
    let freeContext: Free = try cairo["cairo_destroy"]
    let status: Status = try cairo["cairo_status"]

    let svg = Array(figure.svg.utf8)
    guard let handle = read(svg, svg.count, nil) else {
      throw Failure(description: "\(figure.name): librsvg does not read the figure")
    }
    defer { unref(handle) }
    let context = makeContext(surface)
    defer { freeContext(context) }
    let viewport = [0, 0, width, height]
    guard render(handle, context, viewport, nil) != 0 else {
      throw Failure(description: "\(figure.name): librsvg does not draw the figure")
    }
    try check(status(context), figure.name)
  }

  private func finish(_ surface: Pointer?) throws(Failure) {
    typealias Free = @convention(c) (Pointer?) -> Void
    typealias Status = @convention(c) (Pointer?) -> Int32
    let finish: Free = try cairo["cairo_surface_finish"]
    let free: Free = try cairo["cairo_surface_destroy"]
    let status: Status = try cairo["cairo_surface_status"]
    finish(surface)
    let result = status(surface)
    free(surface)
    try check(result, "cairo_surface_finish")
  }

  private func check(_ status: Int32, _ place: String) throws(Failure) {
    typealias Words = @convention(c) (Int32) -> UnsafePointer<CChar>?
    guard status != 0 else { return }
    let words: Words = try cairo["cairo_status_to_string"]
    let reason = words(status).map { String(cString: $0) } ?? "status \(status)"
    throw Failure(description: "\(place): cairo: \(reason)")
  }

  /// What cairo writes.
  private final class Bytes {
    var value: [UInt8] = []
    var pointer: Pointer { Unmanaged.passUnretained(self).toOpaque() }
  }

  private static let sink: Sink = { closure, data, count in
    guard let closure, let data else { return 11 }  // CAIRO_STATUS_WRITE_ERROR
    Unmanaged<Bytes>.fromOpaque(closure).takeUnretainedValue().value
      .append(contentsOf: UnsafeBufferPointer(start: data, count: Int(count)))
    return 0
  }

  // MARK: Fonts

  /// Without fonts words would be boxes, and without the one asked for another would be taken.
  private static func checkFonts(_ family: String?) throws(Failure) {
    typealias GetFonts = @convention(c) (Pointer?, Int32) -> UnsafePointer<Int32>?
    typealias New = @convention(c) () -> Pointer?
    typealias AddText =
      @convention(c) (Pointer?, UnsafePointer<CChar>, UnsafePointer<CChar>) -> Int32
    typealias AddName = @convention(c) (Pointer?, UnsafePointer<CChar>) -> Int32
    typealias List =
      @convention(c) (Pointer?, Pointer?, Pointer?) -> UnsafePointer<Int32>?
    typealias Free = @convention(c) (Pointer?) -> Void
    typealias Start = @convention(c) () -> Int32
    let fonts = try load("libfontconfig.so.1", package: "libfontconfig1")
    let start: Start = try fonts["FcInit"]
    let getFonts: GetFonts = try fonts["FcConfigGetFonts"]
    _ = start()
    // A set of fonts begins with their number.
    let system = getFonts(nil, 0)?.pointee ?? 0
    let own = getFonts(nil, 1)?.pointee ?? 0
    guard system + own > 0 else {
      throw Failure(
        description: "there is no font to set the words of a PDF or PNG in; "
          + "install some (apt-get install fonts-liberation), or take svg")
    }
    guard let family, !FigureSetting.generic.contains(family) else { return }
    let newPattern: New = try fonts["FcPatternCreate"]
    let newNames: New = try fonts["FcObjectSetCreate"]
    let addText: AddText = try fonts["FcPatternAddString"]
    let addName: AddName = try fonts["FcObjectSetAdd"]
    let list: List = try fonts["FcFontList"]
    let freePattern: Free = try fonts["FcPatternDestroy"]
    let freeNames: Free = try fonts["FcObjectSetDestroy"]
    let freeList: Free = try fonts["FcFontSetDestroy"]
    let (pattern, names) = (newPattern(), newNames())
    defer {
      freePattern(pattern)
      freeNames(names)
    }
    _ = addText(pattern, "family", family)
    _ = addName(names, "family")
    let found = list(nil, pattern, names)
    let count = found?.pointee ?? 0
    if let found { freeList(Pointer(mutating: found)) }
    guard count > 0 else {
      throw Failure(
        description:
          "no font of the family \"\(family)\" is installed, and a PDF or PNG would be set "
          + "in another; fc-list : family lists what is there")
    }
  }
}

extension Figure {
  /// The size of its page in pixels of 1/96 inch.
  var pageSize: (width: Double, height: Double) {
    let layout = FigureLayout(self)
    return (layout.width, layout.height)
  }
}
