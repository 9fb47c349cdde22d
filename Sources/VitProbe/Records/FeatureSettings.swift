import Diagnostics
import Reports

/// Everything of an analysis of features that its records and reports depend on.
struct FeatureSettings: Sendable, Codable {
  static let kind = "features"

  /// One analysis: its name, what was set, and what it looks at.
  struct Analysis: Sendable, Codable {
    let slot: any AnalysisState

    private enum Key: String, CodingKey {
      case name, configuration, plan
    }

    init(_ slot: any AnalysisState) { self.slot = slot }

    func encode(to encoder: any Encoder) throws {
      var container = encoder.container(keyedBy: Key.self)
      try container.encode(slot.name, forKey: .name)
      try container.encode(slot.configuration, forKey: .configuration)
      try container.encode(slot.plan, forKey: .plan)
    }

    init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: Key.self)
      let name = try container.decode(String.self, forKey: .name)
      let plan = try container.decode(Plan.self, forKey: .plan)
      let known = CodingUserInfoKey.analyses.flatMap { decoder.userInfo[$0] }
      guard plan.isValid,
        let type = (known as? [any Analyzer.Type] ?? []).first(where: { $0.name == name })
      else {
        throw DecodingError.dataCorruptedError(
          forKey: .name, in: container,
          debugDescription: "there is no analysis \"\(name)\", or its plan makes no sense")
      }
      func slot<A: Analyzer>(_ type: A.Type) throws -> any AnalysisState {
        let configuration = try container.decode(A.Configuration.self, forKey: .configuration)
        return AnalysisRecords(A(configuration), plan: plan)
      }
      self.slot = try slot(type)
    }
  }

  let subjects: [SubjectSettings]
  let data: DataSettings
  let batchSize: Int
  let onBadImage: String
  let reportsMetrics: Bool
  let analyses: [Analysis]
}
