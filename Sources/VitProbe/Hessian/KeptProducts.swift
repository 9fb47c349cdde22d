import Diagnostics

/// An operator whose products are kept in a file as they come, for a later run to take from there.
///
/// A solver is a function of its products. Given those of an interrupted run, it takes the same steps
/// again at once, and goes on. Products are rounded to Float32, kept or not: what is read back is
/// what was used.
struct KeptProducts<Base: SymmetricOperator>: SymmetricOperator {
  let base: Base
  let log: RecordLog?

  var dimension: Int { base.dimension }

  func apply(_ vectors: [[Double]]) throws -> [[Double]] {
    guard let log, let products = log.products else {
      return try base.apply(vectors).map { $0.map { Double(Float($0)) } }
    }
    // One after the other: the file has them in the order of the solver.
    return try vectors.map { vector in
      if let kept = products.next(for: vector) { return kept.map(Double.init) }
      let product = try base.apply([vector])[0].map(Float.init)
      if products.hasRoom {
        try log.start()
        try products.append(product, of: vector)
      }
      return product.map(Double.init)
    }
  }
}
