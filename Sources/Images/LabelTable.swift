/// Labels of all images of a source, in its order.
public struct LabelTable: Sendable, Hashable {
  /// The class of each image.
  public let labels: [Int]
  /// Names of the classes by label; empty if the labels were numbers.
  public let classNames: [String]
  /// The file they came from, for messages.
  public let file: String
  let input: InputFile?

  /// Labels from elsewhere.
  public init(_ labels: [Int], classNames: [String] = [], file: String = "labels") {
    self.init(labels, classNames: classNames, file: file, input: nil)
  }

  init(_ labels: [Int], classNames: [String], file: String, input: InputFile?) {
    self.labels = labels
    self.classNames = classNames
    self.file = file
    self.input = input
  }
}
