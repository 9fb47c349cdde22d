import Testing

/// What users met in public with other tools, and siblings of it: right, or refused by name. A thread is
/// named in each case's `case.json`.
@Suite struct SmallCaseTests {
  private func expectRight(_ small: SmallCase) throws {
    let failures = try small.failures()
    #expect(failures.isEmpty, "\(small.folder): \(failures.joined(separator: "; "))")
  }

  @Test func everyKindHasCases() {
    for kind in [
      "settings", "tensors", "wrappers", "preprocessing", "labels", "files", "images",
    ] {
      #expect(SmallCase.all(of: kind).count >= 3, "\(kind)")
    }
  }

  @Test(arguments: SmallCase.all(of: "settings"))
  func settings(_ small: SmallCase) throws { try expectRight(small) }

  @Test(arguments: SmallCase.all(of: "tensors"))
  func tensorsNobodyAskedFor(_ small: SmallCase) throws { try expectRight(small) }

  @Test(arguments: SmallCase.all(of: "wrappers"))
  func wrappers(_ small: SmallCase) throws { try expectRight(small) }

  @Test(arguments: SmallCase.all(of: "names"))
  func names(_ small: SmallCase) throws { try expectRight(small) }

  @Test(arguments: SmallCase.all(of: "preprocessing"))
  func preprocessing(_ small: SmallCase) throws { try expectRight(small) }

  @Test(arguments: SmallCase.all(of: "labels"))
  func labels(_ small: SmallCase) throws { try expectRight(small) }

  @Test(arguments: SmallCase.all(of: "files"))
  func files(_ small: SmallCase) throws { try expectRight(small) }

  @Test(arguments: SmallCase.all(of: "images"))
  func images(_ small: SmallCase) throws { try expectRight(small) }
}
