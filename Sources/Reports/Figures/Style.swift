/// The shape drawn at each point of a series.
public enum Marker: String, Sendable, Hashable, CaseIterable {
  case circle, diamond, square, triangle, triangleDown, cross, plus
}

/// The dashes of a line.
public enum Dash: String, Sendable, Hashable, CaseIterable {
  case solid, dashed, dotted, dashDotted
}

/// How a series looks. Colour is never alone: a style has its own marker and dash too.
public struct Style: Sendable, Hashable {
  /// The colour of line and marker.
  public var color: Color
  /// No marker: nil.
  public var marker: Marker?
  /// The dashes of the line.
  public var dash: Dash
  /// The width of the line in pixels; 0 draws the markers only.
  public var width: Double
  /// The diameter of a marker in pixels.
  public var markerSize: Double
  /// From 0 to 1.
  public var opacity: Double
  /// Whether markers are outlines, for a second quantity of the same model.
  public var isHollow: Bool

  /// Makes one from its parts; see the properties.
  public init(
    color: Color, marker: Marker? = nil, dash: Dash = .solid, width: Double = 2,
    markerSize: Double = 6.5, opacity: Double = 1, isHollow: Bool = false
  ) {
    self.color = color
    self.marker = marker
    self.dash = dash
    self.width = width
    self.markerSize = markerSize
    self.opacity = opacity
    self.isHollow = isHollow
  }

  /// ResNets: blue with diamonds, as Park and Kim (2022) draw them.
  public static let resNet = Style(color: Color.distinct[0], marker: .diamond)
  /// Vision transformers: vermilion with circles.
  public static let viT = Style(color: Color.distinct[1], marker: .circle)
  /// Other models: teal with squares.
  public static let other = Style(color: Color.distinct[2], marker: .square, dash: .dashed)

  /// The `index`-th of a list of styles that can be told apart.
  public static func category(_ index: Int) -> Style {
    let colors = Color.distinct
    let markers = Marker.allCases
    let place = max(index, 0)
    // There are as many markers as colours: each round of colours starts at another marker.
    return Style(
      color: colors[place % colors.count],
      marker: markers[(place + place / colors.count) % markers.count],
      dash: Dash.allCases[place % Dash.allCases.count])
  }

  /// Styles for models in the order given: the first of the families `resnet` and `vit` (by
  /// prefix) and the first other one get the house styles, further ones get categories.
  public static func models(families: [String]) -> [Style] {
    var house: [Style] = []
    var next = 0
    return families.map { family in
      let name = family.lowercased()
      let style: Style =
        name.hasPrefix("resnet") ? .resNet : name.hasPrefix("vit") ? .viT : .other
      if !house.contains(style) {
        house.append(style)
        return style
      }
      // Blue, vermilion and green stand for the house styles already.
      while [0, 1, 2].contains(next % Color.distinct.count) { next += 1 }
      defer { next += 1 }
      return category(next)
    }
  }
}
