import Diagnostics
import Reports

/// Everything of an analysis of features that its records and reports depend on.
public struct FeatureSettings: Sendable, Codable {
  /// One analysis: its name, what was set, and what it looks at.
  struct Analysis: Sendable, Codable {
    let planned: any PlannedAnalysis

    private enum Key: String, CodingKey {
      case name, configuration, plan
    }

    init(_ planned: any PlannedAnalysis) { self.planned = planned }

    /// Writes name, configuration and plan of the analysis.
    public func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: Key.self)
      try container.encode(planned.name, forKey: .name)
      try container.encode(planned.configuration, forKey: .configuration)
      try container.encode(planned.plan, forKey: .plan)
    }

    /// Reads what ``encode(to:)`` wrote; the decoder knows the analyses that there may be.
    ///
    /// - Throws: `DecodingError` for an analysis that is not among these, or a plan that makes no sense.
    public init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: Key.self)
      let name = try container.decode(String.self, forKey: .name)
      let plan = try container.decode(Plan.self, forKey: .plan)
      let known = CodingUserInfoKey.analyses.flatMap { decoder.userInfo[$0] }
      let types = [MetricsAnalyzer.self] + (known as? [any Analyzer.Type] ?? [])
      guard plan.isValid, let type = types.first(where: { $0.name == name }),
        type.isOptional || plan.subjects.allSatisfy({ !$0.taps.isEmpty })
      else {
        throw DecodingError.dataCorruptedError(
          forKey: .name, in: container,
          debugDescription: "there is no analysis \"\(name)\", or its plan makes no sense")
      }
      func typed<A: Analyzer>(_ type: A.Type) throws -> any PlannedAnalysis {
        let configuration = try container.decode(A.Configuration.self, forKey: .configuration)
        return TypedAnalysis(A(configuration), plan: plan)
      }
      planned = try typed(type)
    }
  }

  let subjects: [SubjectSettings]
  let data: DataSettings
  let batchSize: Int
  let onBadImage: String
  let analyses: [Analysis]
}
