import Reports
import StrictJSON
import Tensors

/// What the figures of an analysis are made of: its tables, as they were just made or as they were read back, and
/// what these do not say. A command and a page draw the same figures of the same source.
public struct FigureSource: Sendable {
  /// The settings of the analysis, as the manifest has them; a setting that is not there is taken as it is by
  /// default.
  public let settings: JSONValue
  /// The models, in the order in which they get their colours.
  let networks: [NetworkOutline]
  private let tables: [String: any TableRows]
  private let number: (@Sendable (_ model: String, _ layer: String) -> Int?)?
  private let styles: [String: Style]
  private let slugs: [String: String]
  private let layers: [String: [String: NetworkOutline.Layer]]

  /// A source of finished tables.
  ///
  /// - Parameters:
  ///   - tables: by name.
  ///   - networks: in the order in which they get their colours.
  ///   - number: the number by which a page knows a layer of a model, drawn as `data-key`; nil for a file.
  public init(
    _ tables: [String: any TableRows], settings: JSONValue, networks: [NetworkOutline],
    number: (@Sendable (_ model: String, _ layer: String) -> Int?)? = nil
  ) {
    (self.tables, self.settings, self.networks, self.number) = (tables, settings, networks, number)
    let looks = Style.models(families: networks.map(\.family))
    styles = Dictionary(
      zip(networks.map(\.label), looks), uniquingKeysWith: { first, _ in first })
    var (slugs, taken) = ([String: String](), Set<String>())
    for label in networks.map(\.label) where slugs[label] == nil {
      let name = Diagnostics.slug(label)
      var (candidate, number) = (name, 2)
      while !taken.insert(candidate).inserted {
        candidate = "\(name)-\(number)"
        number += 1
      }
      slugs[label] = candidate
    }
    self.slugs = slugs
    layers = Dictionary(
      networks.map { network in
        (
          network.label,
          Dictionary(
            network.layers.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        )
      }, uniquingKeysWith: { first, _ in first })
  }

  /// A source of tables just made.
  init(_ tables: [Table], settings: JSONValue, networks: [NetworkOutline]) {
    self.init(
      Dictionary(tables.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first }),
      settings: settings, networks: networks)
  }

  /// A source of tables just made about the subjects of a plan.
  init(_ tables: [Table], settings: JSONValue, plan: Plan) {
    self.init(tables, settings: settings, networks: plan.subjects.map(NetworkOutline.init))
  }

  /// A table, if there is one of that name.
  func table(_ name: String) -> (any TableRows)? { tables[name] }

  /// The looks of a model.
  func style(_ model: String) -> Style { styles[model] ?? .other }

  /// A model's label as a part of file names, unlike those of the others.
  func slug(of model: String) -> String { slugs[model] ?? Diagnostics.slug(model) }

  /// What is known of a layer beside its rows.
  func layer(_ model: String, _ name: String) -> NetworkOutline.Layer? { layers[model]?[name] }

  /// The number by which a page knows a layer.
  func key(_ model: String, _ layer: String) -> Int? { number?(model, layer) }

  /// The numbers of the columns and rows of a heat map; -1 for a layer without one.
  func keys(
    columns: [(model: String, layer: String)], rows: [(model: String, layer: String)]
  ) -> HeatMap.Keys? {
    guard let number else { return nil }
    return HeatMap.Keys(
      columns: columns.map { number($0.model, $0.layer) ?? -1 },
      rows: rows.map { number($0.model, $0.layer) ?? -1 })
  }
}

extension NetworkOutline {
  /// The taps of a subject.
  public init(_ subject: SubjectPlan) {
    self.init(
      label: subject.label, family: subject.family,
      layers: subject.taps.map { planned in
        Layer(
          planned.tap.name, stage: planned.tap.stage, places: MapGrid(planned)?.positions,
          isMap: planned.tap.layout == .featureMap)
      })
  }

  /// A model without layers of its own.
  init(_ model: EvaluatedModel) { self.init(label: model.label, family: model.family) }
}

extension Point {
  /// Half the width of a 95 % interval, in standard errors.
  public static let halfWidth = ImageMoments.halfWidth

  /// A point with an interval of 95 % from a standard error.
  init(_ x: Double, _ y: Double?, error: Double?, label: String, key: Int? = nil) {
    let half = error.map { Self.halfWidth * $0 }
    self.init(
      x, y, low: y.flatMap { y in half.map { y - $0 } },
      high: y.flatMap { y in half.map { y + $0 } }, label: label, key: key)
  }
}
