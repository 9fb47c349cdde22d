import Glibc

/// One of several runs that share the minibatches of one: every N-th minibatch is its own.
public struct Shard: Sendable, Hashable, Codable, CustomStringConvertible {
  /// Which, from 0.
  public let index: Int
  /// Of how many.
  public let count: Int

  /// One of `count` shards.
  ///
  /// - Precondition: `0 <= index < count`.
  public init(index: Int, count: Int) {
    precondition(index >= 0 && index < count, "shard \(index) of \(count)")
    self.index = index
    self.count = count
  }

  /// Reads `I/N`, I from 1 to N, or `slurm` for the task of a Slurm job array.
  ///
  /// - Parameter environment: the value of a variable of the environment, if it is set.
  /// - Throws: ``VitProbeError`` `.usage`.
  public init(
    _ text: String,
    environment: (String) -> String? = { name in
      getenv(name).map { String(cString: $0) }
    }
  ) throws(VitProbeError) {
    if text == "slurm" {
      self = try Self.slurm(environment)
      return
    }
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 2, let number = Int(parts[0]), let count = Int(parts[1]), number >= 1,
      number <= count
    else {
      throw VitProbeError(
        .usage, "`shard` \"\(text)\": expected I/N with I from 1 to N, as in 2/8, or slurm")
    }
    self.init(index: number - 1, count: count)
  }

  /// The variables are those of Slurm's manual page on job arrays.
  private static func slurm(_ environment: (String) -> String?) throws(VitProbeError) -> Shard {
    func number(_ name: String) throws(VitProbeError) -> Int? {
      guard let text = environment(name) else { return nil }
      guard let value = Int(text) else {
        throw VitProbeError(.usage, "`shard` slurm: \(name) is \"\(text)\", not a number")
      }
      return value
    }
    guard let task = try number("SLURM_ARRAY_TASK_ID"),
      let count = try number("SLURM_ARRAY_TASK_COUNT")
    else {
      throw VitProbeError(
        .usage,
        "`shard` slurm: SLURM_ARRAY_TASK_ID or SLURM_ARRAY_TASK_COUNT is not set; submit the job "
          + "with sbatch --array=1-N, or give `shard` I/N")
    }
    let first = try number("SLURM_ARRAY_TASK_MIN") ?? 1
    let step = try number("SLURM_ARRAY_TASK_STEP") ?? 1
    let (distance, overflow) = task.subtractingReportingOverflow(first)
    guard !overflow, step >= 1, distance >= 0, distance % step == 0, distance / step < count else {
      throw VitProbeError(
        .usage,
        "`shard` slurm: task \(task) of \(count), counted from \(first) in steps of \(step), does "
          + "not exist; number the array without holes (sbatch --array=1-N), or give `shard` I/N")
    }
    return Shard(index: distance / step, count: count)
  }

  /// What it has of a run whose units are variants on minibatches.
  ///
  /// Minibatches are shared out, so that each is read by one shard. Where there are fewer of them than shards, as
  /// many groups of shards as divide the shards evenly have minibatches of their own, and within a group the variants
  /// are shared out.
  func share(ofMinibatches minibatches: Int) -> Share {
    let most = min(count, max(1, minibatches))
    let groups = (1...most).last { count.isMultiple(of: $0) } ?? 1
    return Share(
      groups: groups, group: index % groups, members: count / groups, member: index / groups)
  }

  /// Every so many minibatches, and of these every so many variants.
  struct Share: Sendable, Hashable {
    let groups: Int
    let group: Int
    let members: Int
    let member: Int

    func contains(minibatch: Int) -> Bool { minibatch % groups == group }
    func contains(variant: Int) -> Bool { variant % members == member }
  }

  /// Whether a minibatch is its own, where nothing else is shared out.
  public func contains(_ batch: Int) -> Bool { batch % count == index }

  /// `2/8`.
  public var description: String { "\(index + 1)/\(count)" }

  /// The name of the file that the shard leaves.
  public var fileName: String { "part-\(index + 1)-of-\(count)" + RecordFile.suffix }
}
