/// One statistic of a layer or of a head over all images.
struct AttentionEstimate: Sendable {
  /// Why an estimate is what it is.
  enum Status: String {
    case ok
    /// Some weights are below zero; their magnitudes were taken.
    case magnitudes
    /// No image has such a number: fewer than two tokens, maps of zeros, all attention on one key.
    case degenerate
    /// A value was not finite.
    case nonfinite = "nan_input"
    /// The value is not the grid that its layout promises.
    case undefinedGrid = "undefined_grid"
    /// The size of the images in pixels is not known.
    case noImageSize = "no_image_size"
    /// There are no pairs of heads.
    case singleHead = "single_head"
    /// No layer comes before.
    case firstLayer = "first_layer"
    /// The layer before has maps of another shape.
    case shapeChange = "shape_change"
    /// The matrix of all places is too large for its spectrum to be taken.
    case tooLarge = "too_large"
    /// Queries have no place on the grid.
    case noPlace = "no_place"
    /// Queries have no place: ways are told from the middle of the image.
    case fromMiddle = "from_middle"
    /// There is one query alone, whose map is one row.
    case oneQuery = "one_query"
  }

  let statistic: AttentionStatistic
  let head: Int?
  /// Images that have the number.
  private(set) var images = 0
  /// Images that have none.
  private(set) var undefined = 0
  private(set) var value: Double?
  /// The standard error over images; nil for one image, and for what does not depend on images.
  private(set) var error: Double?
  private(set) var status = Status.ok

  /// The ends of the 95 % interval.
  var interval: (low: Double, high: Double)? {
    guard let value, let error else { return nil }
    return (value - ImageMoments.halfWidth * error, value + ImageMoments.halfWidth * error)
  }

  /// - Parameters:
  ///   - cell: the place of the statistic in the layer.
  ///   - records: the layer in each minibatch, in order.
  init(_ cell: Int, of layer: AttentionLayer, _ records: [AttentionAnalyzer.Record.Layer]) {
    (statistic, head) = layer.cells[cell]
    if let reason = Self.reasonAgainst(statistic, of: layer) {
      status = reason
      return
    }
    guard records.allSatisfy(\.isFinite) else {
      status = .nonfinite
      return
    }
    var moments = AttentionMoments()
    for record in records where record.cells.indices.contains(cell) {
      moments.add(record.cells[cell])
    }
    (images, undefined) = (moments.count, moments.undefined)
    guard moments.count > 0 else {
      status = .degenerate
      return
    }
    value = moments.mean
    switch statistic {
    case .uniformEntropy: break
    case .distance, .entropy, .mutualInformation, .offsetX, .offsetY, .covarianceXX,
      .covarianceXY, .covarianceYY:
      error = moments.standardError
      if statistic.isOffset, case .maps(let grid) = layer.content, !grid.hasQueryPlaces {
        status = .fromMiddle
      }
      if records.contains(where: \.hasNegativeWeights) { status = .magnitudes }
    default: error = moments.standardError
    }
  }

  /// Why a layer does not have a statistic, whatever its values.
  private static func reasonAgainst(
    _ statistic: AttentionStatistic, of layer: AttentionLayer
  ) -> Status? {
    guard case .maps(let grid) = layer.content else {
      if case .tokens = layer.content { return nil }
      return .undefinedGrid
    }
    switch statistic {
    case .tokenSimilarity: return nil
    case .effectiveRank:
      if case .taps(let taps) = grid.places { return taps.hasRank ? nil : .tooLarge }
      return grid.isOneRow ? .oneQuery : nil
    case .headSimilarity, .similarHeads: return grid.heads > 1 ? nil : .singleHead
    case .layerSimilarity:
      return layer.predecessor == nil ? .firstLayer : layer.isComparable ? nil : .shapeChange
    case .entropy, .uniformEntropy: return grid.places == nil ? .undefinedGrid : nil
    case .mutualInformation:
      return grid.places == nil ? .undefinedGrid : grid.isOneRow ? .oneQuery : nil
    case .distance where grid.places != nil && !grid.hasQueryPlaces: return .noPlace
    case .distance, .offsetX, .offsetY, .covarianceXX, .covarianceXY, .covarianceYY:
      return grid.places == nil ? .undefinedGrid : layer.step == nil ? .noImageSize : nil
    }
  }
}
