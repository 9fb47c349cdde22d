import Testing

@testable import Images

@Suite struct ResizeTests {
  static func source(_ mode: String) throws -> DecodedImage {
    DecodedImage(
      width: 61, height: 47, channels: mode == "rgb" ? 3 : 1,
      pixels: .bytes(try Fixture.bytes("resize/source.\(mode)")))
  }

  /// Every filter, up and down, along one axis and both, against Pillow: identical.
  @Test func equalsPillow() throws {
    let names = try Fixture.names("resize").filter { $0.hasSuffix(".raw") }
    #expect(names.count > 40)
    for name in names {
      let parts = name.dropLast(4).split(separator: "-")
      let size = parts[2].split(separator: "x").compactMap { Int($0) }
      let filter = try #require(Interpolation(rawValue: String(parts[1])))
      let image = try Self.source(String(parts[0])).resized(
        width: size[0], height: size[1], interpolation: filter)
      guard case .bytes(let samples) = image.pixels else {
        Issue.record("not bytes")
        continue
      }
      #expect(try largestDifference(samples, Fixture.bytes("resize/\(name)")) == 0, "\(name)")
    }
  }

  /// A window of a resize is the same part of the whole resize.
  @Test(arguments: Interpolation.allCases)
  func windowsAgree(_ filter: Interpolation) throws {
    let source = try Self.source("rgb")
    guard case .bytes(let samples) = source.pixels else { return }
    for (width, height) in [(33, 29), (61, 29), (33, 47), (61, 47), (80, 90), (58, 21)] {
      let whole = try source.resized(width: width, height: height, interpolation: filter).rgb
      let window = Window(x: 5, y: 3, width: 20, height: 17)
      let part = try resample(
        samples, width: 61, height: 47, channels: 3, to: (width, height), window: window, filter,
        ImageLimits())
      var expected: [UInt8] = []
      for y in 3..<20 {
        let row = 3 * y * width
        expected += whole[row + 15..<row + 75]
      }
      #expect(part == expected, "\(filter) \(width) x \(height)")
    }
  }

  @Test(arguments: Interpolation.allCases)
  func absurdSizesAreRefused(_ filter: Interpolation) throws {
    let source = try Self.source("grey")
    for (width, height) in [(0, 5), (5, -1), (100_000, 100_000), (Int.max, Int.max)] {
      let error = errorOf {
        _ = try source.resized(width: width, height: height, interpolation: filter)
      }
      #expect(error?.kind == .tooLarge, "\(width) x \(height)")
    }
  }
}

@Suite struct ImageTransformTests {
  /// round((size - crop) / 2), halves to even.
  @Test(arguments: [
    (249, 224, 12), (331, 224, 54), (248, 224, 12), (227, 224, 2), (225, 224, 0), (224, 224, 0),
    (229, 224, 2), (231, 224, 4),
  ])
  func cropOffsets(_ size: Int, _ crop: Int, _ expected: Int) {
    #expect(Placement(from: size, to: crop, .halfToEven).skip == expected)
    #expect(Placement(from: size, to: crop, .down).skip == (size - crop) / 2)
  }

  @Test func shortEdgeKeepsTheAspect() {
    let transform = ImageTransform(resize: .shortEdge(248), crop: nil)
    #expect(transform.outputSize(width: 500, height: 375) == .init(height: 248, width: 330))
    #expect(transform.outputSize(width: 375, height: 500) == .init(height: 330, width: 248))
    #expect(transform.outputSize(width: 7, height: 7) == .init(height: 248, width: 248))
  }

  /// Resized edges for the crop fractions of published models.
  @Test(arguments: [
    (224, 0.9, 248), (224, 0.875, 256), (384, 1.0, 384), (224, 0.95, 235), (224, 0.96, 233),
    (224, 1.15, 194), (224, 1.13, 198), (448, 1.13, 396),
  ])
  func cropFractions(_ size: Int, _ fraction: Double, _ edge: Int) throws {
    let transform = try ImageTransform.cropping(
      imageSize: size, cropFraction: fraction, interpolation: .bicubic, mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5])
    #expect(transform.resize == .shortEdge(edge))
    #expect(transform.fixedOutputSize == .init(size))
  }

  /// Whole pipelines against torchvision, as Float32 to the last bit.
  @Test(arguments: [
    ("edge35-crop32-bicubic", ImageTransform.Resize.shortEdge(35), 32, 32),
    ("edge27-crop24-bilinear", .shortEdge(27), 24, 24),
    ("edge21-crop26-bicubic", .shortEdge(21), 26, 26),
    ("edge18-crop31-bicubic", .shortEdge(18), 31, 31),
    ("exact28x20-bilinear", .exact(height: 28, width: 20), 28, 20),
    ("none-crop24", .none, 24, 24),
    ("none", .none, 47, 61),
  ])
  func equalsTorchvision(
    _ name: String, _ resize: ImageTransform.Resize, _ height: Int, _ width: Int
  ) throws {
    let transform = ImageTransform(
      resize: resize, crop: name.contains("crop") ? .init(height: height, width: width) : nil,
      interpolation: name.hasSuffix("bilinear") ? .bilinear : .bicubic)
    let values = try transform(ResizeTests.source("rgb"))
    #expect(values == (try Fixture.floats("transforms/\(name).f32")))
  }

  @Test func greyStaysGreyOrIsCopied() throws {
    var transform = ImageTransform(
      resize: .shortEdge(35), crop: .init(32), mean: [0.2860], std: [0.3530])
    let grey = try transform(ResizeTests.source("grey"))
    #expect(grey == (try Fixture.floats("transforms/grey.f32")))
    // Colour becomes luma first, as Pillow's convert("L") does.
    #expect(try transform(ResizeTests.source("rgb")) == grey)
    transform.mean = [0.2860, 0.2860, 0.2860]
    transform.std = [0.3530, 0.3530, 0.3530]
    #expect(try transform(ResizeTests.source("grey")) == grey.flatMap { [$0, $0, $0] })
  }

  @Test func normalisedValuesAreTakenAsTheyAre() throws {
    let values: [Float] = (0..<12).map { Float($0) - 3 }
    let image = DecodedImage(width: 2, height: 2, channels: 3, pixels: .normalised(values))
    let identity = ImageTransform(resize: .none, crop: nil)
    #expect(try identity(image) == values)
    let larger = ImageTransform(resize: .none, crop: .init(4))
    #expect(errorOf { _ = try larger(image, named: "a.npy#0") }?.kind == .mismatch)
  }

  @Test func settingsAreChecked() {
    let image = DecodedImage(width: 1, height: 1, channels: 1, pixels: .bytes([1]))
    let bad = [
      ImageTransform(resize: .shortEdge(0), crop: nil),
      ImageTransform(resize: .shortEdge(.max), crop: nil),
      ImageTransform(resize: .exact(height: 3, width: -1), crop: nil),
      ImageTransform(resize: .none, crop: .init(0)),
      ImageTransform(resize: .none, crop: nil, mean: [0, 0], std: [1]),
      ImageTransform(resize: .none, crop: nil, mean: [0], std: [0]),
      ImageTransform(resize: .none, crop: nil, mean: [.nan], std: [1]),
    ]
    for transform in bad {
      #expect(errorOf { _ = try transform(image) }?.kind == .setting)
    }
    #expect(
      errorOf {
        _ = try ImageTransform.cropping(
          imageSize: 224, cropFraction: .nan, interpolation: .bicubic, mean: [0], std: [1])
      }?.kind == .setting)
  }

  @Test func extremeAspectIsCutNotExpanded() throws {
    let sliver = DecodedImage(
      width: 200_000, height: 1, channels: 1, pixels: .bytes(Array(repeating: 51, count: 200_000)))
    let transform = ImageTransform(
      resize: .shortEdge(224), crop: .init(224), mean: [0], std: [1])
    #expect(try transform(sliver) == Array(repeating: 0.2, count: 224 * 224))
  }
}
