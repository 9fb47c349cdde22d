import Testing

@testable import Models

/// What an exported graph asks for and has no value here.
@Suite struct GraphRefusalTests {
  @Test func masksLeaveEveryQueryAKey() throws {
    let none = -Double.infinity
    let causal = HostArray(.float32, [2, 2], [0, none, 0, 0])
    try AtenOperations.requireKeys(causal)
    let masked = HostArray(.float32, [2, 2], [0, 0, none, none])
    let error = #expect(throws: GraphError.self) { try AtenOperations.requireKeys(masked) }
    #expect(error?.found == "a mask that leaves query 1 no key")
  }
}
