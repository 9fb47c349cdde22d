/// What was remarked on decoding images: the same of several is one.
public struct ImageRemark: Sendable, Hashable, Codable, CustomStringConvertible {
  /// What was remarked; see ``DecodedImage/note``.
  public let text: String
  /// Of how many images.
  public private(set) var count: Int
  /// The first of them.
  public let first: String

  /// Of which image or images, and what.
  public var description: String {
    (count == 1 ? first : "\(first) and \(count - 1) more") + ": " + text
  }

  /// Remarks on consecutive images as one list, in the order in which they first appear.
  public static func merged(_ remarks: [ImageRemark]) -> [ImageRemark] {
    var merged: [ImageRemark] = []
    for remark in remarks {
      if let place = merged.firstIndex(where: { $0.text == remark.text }) {
        merged[place].count += remark.count
      } else {
        merged.append(remark)
      }
    }
    return merged
  }
}

extension ImageBatch {
  /// What decoding its images has shown.
  public var remarks: [ImageRemark] {
    ImageRemark.merged(
      items.compactMap { item in
        item.image.note.map { ImageRemark(text: $0, count: 1, first: item.id) }
      })
  }
}
