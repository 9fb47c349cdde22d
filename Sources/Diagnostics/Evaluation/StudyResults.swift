import Reports

/// What came of a study of variants: its tables and figures are made of this.
public struct StudyResults<Study: EvaluationStudy>: Sendable {
  /// What was asked.
  public let study: Study
  /// The models, in order.
  public let models: [EvaluatedModel]
  /// What the images are called.
  public let data: String

  /// What came of a study.
  public init(_ study: Study, _ models: [EvaluatedModel], on data: String) {
    (self.study, self.models, self.data) = (study, models, data)
  }
}
