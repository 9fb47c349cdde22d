import Diagnostics

/// The Hessian of a data set whose minibatches are shared out over ranks: each multiplies with its
/// own, and the first adds up.
///
/// Only the first rank has a solver and its long vectors. It announces each product, and every rank
/// multiplies the same vector, whatever processor it runs on.
struct RankedHessian: SymmetricOperator {
  /// The minibatches of this rank.
  let own: NetworkHessian
  let ranks: any Ranks
  /// The mean loss over all images.
  let loss: Double
  /// Whether all pixels of all ranks are finite.
  let imagesAreFinite: Bool

  /// Makes it on every rank at once.
  ///
  /// - Parameters:
  ///   - images: how many the loss is over.
  ///   - share: what this rank has of it, and whether its pixels are finite.
  /// - Throws: ``RankFailure``; on the first rank, ``VitProbeError`` `.badData` if others see other
  ///   data or another model.
  init(
    images: Int, ranks: any Ranks, share: () throws -> (own: NetworkHessian, isFinite: Bool)
  ) throws {
    let (own, isFinite) = try ranks.together(share)
    var facts = [own.loss, isFinite ? 0 : 1, Double(own.dimension), Double(images)]
    ranks.sum(&facts)
    if ranks.rank == 0 {
      let count = Double(ranks.count)
      guard facts[2] == count * Double(own.dimension), facts[3] == count * Double(images) else {
        throw VitProbeError(
          .badData,
          "the ranks see different data or models: \(own.dimension) parameters and \(images) "
            + "images on the first, \(facts[2] / count) and \(facts[3] / count) on average; give "
            + "all of them the same files")
      }
    }
    self.own = own
    self.ranks = ranks
    loss = facts[0]
    imagesAreFinite = facts[1] == 0
  }

  var dimension: Int { own.dimension }

  /// On the first rank.
  func apply(_ vectors: [[Double]]) throws -> [[Double]] {
    RankOrder.multiply(vectors.count).give(to: ranks)
    return try multiply(vectors)
  }

  /// The gradient of the loss over all images; on the first rank.
  func gradient() -> [Double] {
    RankOrder.addGradients.give(to: ranks)
    return addGradients()
  }

  /// On the others, once it was announced.
  func assistGradient() { _ = addGradients() }

  private func addGradients() -> [Double] {
    var sum = own.gradient
    ranks.sum(&sum)
    return sum
  }

  /// On the others, once a product was announced.
  func assist(_ count: Int) throws {
    _ = try multiply(
      [[Double]](repeating: [Double](repeating: 0, count: dimension), count: count))
  }

  private func multiply(_ vectors: [[Double]]) throws -> [[Double]] {
    guard ranks.count > 1 else { return try own.apply(vectors) }
    var vectors = vectors
    for index in vectors.indices { ranks.broadcast(&vectors[index]) }
    do {
      var results = try own.apply(vectors)
      for index in results.indices { ranks.sum(&results[index]) }
      return results
    } catch {
      // The others wait for a sum that does not come.
      let error = VitProbeError(error)
      throw RankFailure(
        rank: ranks.rank, kind: error.kind, message: error.message, isKnownToAll: false)
    }
  }
}

/// What the first rank asks of all.
enum RankOrder: Equatable {
  /// To take up a model.
  case open(Int)
  /// To multiply so many vectors with the Hessian of their minibatches.
  case multiply(Int)
  /// To add up the gradients of their minibatches.
  case addGradients
  /// To go home.
  case end

  private var words: [Double] {
    switch self {
    case .open(let model): [1, Double(model)]
    case .multiply(let count): [2, Double(count)]
    case .addGradients: [3, 0]
    case .end: [0, 0]
    }
  }

  func give(to ranks: any Ranks) {
    guard ranks.count > 1 else { return }
    var words = words
    ranks.broadcast(&words)
  }

  /// Waits for the next one.
  static func next(from ranks: any Ranks) -> RankOrder {
    var words = [0.0, 0.0]
    ranks.broadcast(&words)
    return switch words[0] {
    case 1: .open(Int(words[1]))
    case 2: .multiply(Int(words[1]))
    case 3: .addGradients
    default: .end
    }
  }
}
