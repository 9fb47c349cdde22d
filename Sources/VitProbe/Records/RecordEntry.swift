/// What was found out on one minibatch, or a part of it.
public struct RecordEntry: Sendable, Equatable {
  /// A named JSON text without line ends and tabs.
  public struct Document: Sendable, Equatable {
    let name: String
    let json: [UInt8]
  }
  /// The place of the minibatch in the plan.
  let batch: Int
  let documents: [Document]

  /// What tells entries of one minibatch apart.
  var firstName: String { documents.first?.name ?? "" }

  /// What it holds.
  var recordParts: [RecordPart] { documents.map { RecordPart(batch: batch, name: $0.name) } }
}

/// Where in a file of records an entry's line is.
struct RecordPlace: Sendable, Hashable {
  let offset: Int
  /// Bytes, the line's end among them; none of no entry.
  let length: Int

  /// Of no entry.
  static let none = RecordPlace(offset: 0, length: 0)

  var isEmpty: Bool { length == 0 }
}

/// A document of a minibatch, by its place.
struct RecordPart: Sendable, Hashable {
  let batch: Int
  let name: String
}
