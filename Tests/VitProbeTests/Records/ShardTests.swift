import Testing

@testable import VitProbe

@Suite struct ShardTests {
  @Test(arguments: [1, 2, 3, 8])
  func everyMinibatchBelongsToOneShard(count: Int) {
    let shards = (0..<count).map { Shard(index: $0, count: count) }
    for batch in 0..<50 {
      #expect(shards.count { $0.contains(batch) } == 1)
      #expect(shards[batch % count].contains(batch))
    }
  }

  /// Minibatches are shared out like those of other runs while there are enough of them; each variant on each
  /// minibatch belongs to one shard in any case, and no shard of several goes without for long.
  @Test(arguments: [1, 2, 3, 4, 6, 7, 12, 64], [1, 2, 3, 5, 16])
  func everyVariantBelongsToOneShard(count: Int, minibatches: Int) {
    let shards = (0..<count).map { Shard(index: $0, count: count) }
    let shares = shards.map { $0.share(ofMinibatches: minibatches) }
    var owned = [Int](repeating: 0, count: count)
    for minibatch in 0..<minibatches {
      for variant in 0..<24 {
        let owners = shares.indices.filter {
          shares[$0].contains(minibatch: minibatch) && shares[$0].contains(variant: variant)
        }
        #expect(owners.count == 1)
        for owner in owners { owned[owner] += 1 }
        if count <= minibatches { #expect(owners == [minibatch % count]) }
      }
    }
    if count <= 24 { #expect(owned.allSatisfy { $0 > 0 }) }
    #expect(Shard(index: 1, count: 1 << 40).share(ofMinibatches: 3).groups == 2)
  }

  @Test func numbersCountFromOne() throws {
    let shard = try Shard("2/8")
    #expect(shard == Shard(index: 1, count: 8))
    #expect(shard.description == "2/8" && shard.fileName == "part-2-of-8.vpart")
    for text in ["", "0/2", "3/2", "-1/2", "1/0", "1", "1/2/3", "a/b", "1/ 2", "/", "Slurm"] {
      let error = failure { _ = try Shard(text) }
      #expect(error?.kind == .usage && error?.message.contains("`shard`") == true, "\(text)")
    }
  }

  private func slurm(_ values: [String: String]) throws(VitProbeError) -> Shard {
    try Shard("slurm") { values[$0] }
  }

  @Test func arraysOfSlurm() throws {
    func variables(_ id: Int, _ count: Int, _ least: Int?, _ step: Int?) -> [String: String] {
      var values = ["SLURM_ARRAY_TASK_ID": "\(id)", "SLURM_ARRAY_TASK_COUNT": "\(count)"]
      values["SLURM_ARRAY_TASK_MIN"] = least.map(String.init)
      values["SLURM_ARRAY_TASK_STEP"] = step.map(String.init)
      return values
    }
    // --array=1-4, 0-3, 10-16:2
    #expect(try slurm(variables(1, 4, 1, 1)) == Shard(index: 0, count: 4))
    #expect(try slurm(variables(4, 4, 1, nil)) == Shard(index: 3, count: 4))
    #expect(try slurm(variables(0, 4, 0, 1)) == Shard(index: 0, count: 4))
    #expect(try slurm(variables(3, 4, 0, 1)) == Shard(index: 3, count: 4))
    #expect(try slurm(variables(14, 4, 10, 2)) == Shard(index: 2, count: 4))
    for values in [
      [:], ["SLURM_ARRAY_TASK_ID": "1"], variables(7, 2, 1, 1), variables(2, 3, 1, 2),
      ["SLURM_ARRAY_TASK_ID": "x", "SLURM_ARRAY_TASK_COUNT": "2"],
      variables(Int.max, 2, -5, 1), variables(0, 2, 1, 1), variables(1, 2, 1, 0),
    ] {
      #expect(failure { _ = try slurm(values) }?.kind == .usage, "\(values)")
    }
  }
}
