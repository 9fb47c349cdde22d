import Diagnostics
import Models
import Reports
import Tensors

/// A network, and the tensors of it that move along a line or over a plane.
struct WeightPlane: Sendable {
  /// A tensor that moves: itself, then what each axis adds to it, or the tensors at the axes' ends; itself
  /// alone where directions are found later.
  struct Moving: Sendable {
    let name: String
    let tensors: [Tensor]
  }

  let label: String
  let network: any Network
  let moving: [Moving]

  /// The bytes of the weights of a place and of the axes.
  var bytes: Int {
    moving.reduce(0) { $0 + 4 * $1.tensors[0].shape.count * ($1.tensors.count + 1) }
  }

  /// How many tensors move.
  var note: String {
    let values = moving.reduce(0) { $0 + $1.tensors[0].shape.count }
    return "\(label): \(moving.count) of \(network.parameters.count) tensors move, \(values) values"
  }

  /// The weights of a place, by name, and how large they are.
  ///
  /// - Parameters:
  ///   - coefficients: what each of a moving tensor's own tensors counts for.
  ///   - directions: further tensors of each axis, in the order of ``moving``.
  func weights(
    _ coefficients: [Double], directions: [[Tensor]] = []
  ) -> (tensors: [String: Tensor], norms: WeightNorms) {
    var tensors: [String: Tensor] = [:]
    for parameter in network.parameters {
      tensors[parameter.specification.name] = parameter.tensor
    }
    for (place, one) in moving.enumerated() {
      tensors[one.name] = WeightDirection.sum(
        one.tensors + directions.map { $0[place] }, coefficients)
    }
    var norms = WeightNorms()
    for parameter in network.parameters where !parameter.specification.isBuffer {
      tensors[parameter.specification.name]?.withValues { norms.add($0) }
    }
    return (tensors, norms)
  }
}

extension ModelSubject {
  /// The weights of another checkpoint of the same network, by name.
  ///
  /// - Parameter what: what does not exist where they are of another network: `there is no line`.
  func weights(
    of target: ModelSubject, orElse what: String
  ) throws(VitProbeError) -> [String: Tensor] {
    let own = network.parameters.map(\.specification)
    let others = target.network.parameters
    var found: [String: Tensor] = [:]
    for parameter in others { found[parameter.specification.name] = parameter.tensor }
    for specification in own where found[specification.name]?.shape != specification.shape {
      let other = others.first { $0.specification.name == specification.name }
      throw VitProbeError(
        .badData,
        "\(what) from \(label) to \(target.label): \(specification.name) is "
          + "\(specification.storedShape) in the first and "
          + (other.map { "\($0.specification.storedShape)" } ?? "missing") + " in the second")
    }
    guard others.count == own.count else {
      throw VitProbeError(
        .badData,
        "\(what) from \(label) to \(target.label): they have \(own.count) and \(others.count) tensors"
      )
    }
    return found
  }

  /// SHA-256 of all weights and their names.
  var weightsDigest: String {
    let digest = SHA256()
    for parameter in network.parameters {
      digest.update(Array(parameter.specification.name.utf8))
      parameter.tensor.withValues { digest.update(UnsafeRawBufferPointer($0)) }
    }
    return digest.finish()
  }

  /// The tensors that a user's globs choose among some.
  ///
  /// - Parameters:
  ///   - isChosen: which they are without any glob.
  func parameters(
    among candidates: [NamedParameter], matching globs: [String],
    otherwise isChosen: (NamedParameter) -> Bool
  ) throws(VitProbeError) -> [NamedParameter] {
    let selection = NameSelection(globs)
    if let glob = selection.firstUnmatched(in: candidates.map(\.specification.name)) {
      let names = candidates.map(\.specification.name)
      throw VitProbeError(
        .usage,
        "`parameters` \"\(glob)\" matches no parameter of \(label); there are "
          + names.prefix(4).joined(separator: ", ") + ", …"
          + NameSelection.question(glob, among: names))
    }
    let chosen = candidates.filter {
      globs.isEmpty ? isChosen($0) : selection.includes($0.specification.name)
    }
    guard !chosen.isEmpty else {
      throw VitProbeError(.usage, "`parameters` leaves no parameter of \(label)")
    }
    return chosen
  }
}
