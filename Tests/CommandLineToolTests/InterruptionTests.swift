import Glibc
import TestSupport
import Testing

/// Runs that are stopped or killed, and what is left of them.
@Suite struct InterruptionTests {
  private let inputs = Inputs()

  /// Slow enough to be stopped in the middle: some twenty products with a Hessian a minibatch.
  private func hessian(_ data: String, _ folder: String) -> [String] {
    [
      "hessian", Inputs.vit, "--data", data, "--labels", labels(48), "--batch-size", "4", "--steps",
      "20", "--batches", "12", "-o", folder,
    ]
  }

  private func features(_ data: String, _ folder: String) -> [String] {
    [
      "run", Inputs.vit, Inputs.resnet, "--data", data, "--labels", labels(200), "--batch-size",
      "4", "--bootstrap", "20", "-o", folder,
    ]
  }

  private func labels(_ count: Int) -> String {
    let name = "labels-\(count).txt"
    inputs.scratch.write((0..<count).map { "\($0 % 7)\n" }.joined(), as: name)
    return name
  }

  private func run(_ arguments: [String]) throws -> Program.Result {
    try Program.run(arguments, in: inputs.scratch.path)
  }

  @Test(arguments: [SIGINT, SIGTERM])
  func aSignalLetsTheMinibatchEndAndTheRestFollows(signal: Int32) throws {
    let data = inputs.images(48)
    let whole = try run(hessian(data, "whole"))
    #expect(whole.code == 0, "\(whole.errors)")

    let process = try Program.start(hessian(data, "a b"), in: inputs.scratch.path)
    #expect(inputs.waitForRecords(3, in: "a b"))
    process.send(signal)
    // Slurm's launcher passes on what its daemon has sent already.
    if signal == SIGTERM, process.waits(toSay: "finishing") { process.send(signal) }
    let stopped = try process.wait()
    #expect(stopped.code == 75, "\(stopped.errors)")
    #expect(stopped.output.isEmpty)
    #expect(stopped.errors.contains("of 12 minibatches"))
    // How long it may take is known from the products made.
    #expect(stopped.errors.contains(/finishing the work in hand, which may take \d+ s;/))
    // The line to type is there, quoted for a shell.
    #expect(stopped.errors.contains("-o 'a b' --resume\n"))
    #expect(inputs.scratch.names(in: "a b") == [".vitprobe-records"])

    // With other settings, it is refused and nothing is lost.
    let other = try run(hessian(data, "a b") + ["--resume", "--top", "3"])
    #expect(other.code == 64)
    #expect(other.errors.contains("hessian.top is 3 in this run and 5 in its records"))
    _ = inputs.scratch.folder("moved")
    inputs.scratch.write(
      Array((Scratch.read(inputs.scratch.file(data)) ?? []).dropLast()) + [77], as: "moved/x.npy")
    let moved = try run(hessian("moved/x.npy", "a b") + ["--resume"])
    #expect(moved.code == 64)
    #expect(moved.errors.contains("data."))

    let resumed = try run(hessian(data, "a b") + ["--resume"])
    #expect(resumed.code == 0, "\(resumed.errors)")
    #expect(resumed.errors.contains("going on from"))
    #expect(resumed.output == whole.output.replacing(" whole\n", with: " a b\n"))
    #expect(inputs.results("a b") == inputs.results("whole"))
    #expect(!inputs.scratch.names(in: "a b").contains { $0.hasPrefix(".") })
  }

  @Test func aSecondSignalStopsAtOnce() throws {
    let data = inputs.images(96)
    let process = try Program.start(
      [
        "hessian", Inputs.vit, "--data", data, "--labels", labels(96), "--batch-size", "96",
        "--steps", "4000", "-o", "out",
      ], in: inputs.scratch.path)
    #expect(process.waits(toSay: "products with a Hessian planned"))
    usleep(500_000)
    process.send(SIGINT)
    #expect(process.waits(toSay: "once more to stop at once"))
    process.send(SIGINT)
    let result = try process.wait()
    #expect(result.code == 130, "\(result.errors)")
    #expect(result.errors.contains("once more to stop at once"))
    // What it left does not stand in the way of the next run.
    let next = try run(["variance", Inputs.vit, "--data", data, "-o", "out", "-q"])
    #expect(next.code == 0, "\(next.errors)")
    #expect(inputs.scratch.names(in: "out") == ["run.json", "variance.csv", "variance.svg"])
  }

  /// Killed again and again at moments of no choosing.
  @Test func aKillLosesTheMinibatchesInHandAndNoMore() throws {
    let data = inputs.images(200)
    let start = ContinuousClock.now
    let whole = try run(features(data, "whole"))
    let duration = start.duration(to: .now) / .microseconds(1)
    #expect(whole.code == 0, "\(whole.errors)")
    let expected = inputs.results("whole")
    #expect(expected.count > 9)

    var state: UInt64 = 20_220_425
    var kills = 0
    var finished = false
    for _ in 0..<12 where !finished {
      let process = try Program.start(
        features(data, "out") + ["--resume"], in: inputs.scratch.path)
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      if kills == 0 {
        #expect(inputs.waitForRecords(1, in: "out"))
      } else {
        usleep(useconds_t(0.8 * duration * Double(state >> 40) / Double(1 << 24)))
      }
      process.send(SIGKILL)
      let result = try process.wait()
      finished = result.code == 0
      if result.code == -SIGKILL { kills += 1 } else { #expect(finished, "\(result.errors)") }
    }
    #expect(kills > 0)
    if !finished {
      let last = try run(features(data, "out") + ["--resume"])
      #expect(last.code == 0, "\(last.errors)")
    }
    #expect(inputs.results("out") == expected)
  }

  /// Within one long solver over a data set: killed and stopped at moments of no choosing.
  @Test(arguments: [SIGKILL, SIGINT])
  func aLongSolverGoesOnFromItsProducts(signal: Int32) throws {
    let arguments = [
      "hessian", Inputs.vit, "--data", inputs.images(44), "--labels", labels(44), "--batch-size",
      "8", "--scope", "dataset", "--steps", "20", "--trace", "9", "--density", "1", "--l2", "0.01",
    ]
    let start = ContinuousClock.now
    let whole = try run(arguments + ["-o", "whole"])
    let duration = start.duration(to: .now) / .microseconds(1)
    #expect(whole.code == 0, "\(whole.errors)")
    #expect(whole.errors.contains("MB on disk while it is computed, to go on from after"))
    let expected = inputs.results("whole")
    #expect(expected.count >= 4)

    var state: UInt64 = 19_940_101
    var (stops, goings) = (0, 0)
    var finished = false
    for _ in 0..<12 where !finished {
      let process = try Program.start(
        arguments + ["-o", "out", "--resume"], in: inputs.scratch.path)
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      if stops == 0 {
        // In any case once in the middle, with a product in the file.
        let products = inputs.scratch.file("out/.vitprobe-products")
        var patience = 30_000
        while patience > 0, (Scratch.read(products) ?? []).count < 2 * 4 * 19735 {
          usleep(1000)
          patience -= 1
        }
      } else {
        usleep(useconds_t(0.6 * duration * Double(state >> 40) / Double(1 << 24)))
      }
      process.send(signal)
      let result = try process.wait()
      finished = result.code == 0
      if result.errors.contains("going on from 0 of 1 models and ") { goings += 1 }
      // Before the signal is caught, it ends the program as it ends any.
      #expect([0, 75, 130, -signal].contains(result.code), "\(result.code) \(result.errors)")
      if !finished { stops += 1 }
    }
    #expect(stops > 0 && goings + (finished ? 0 : 1) > 0)
    if !finished {
      let last = try run(arguments + ["-o", "out", "--resume"])
      #expect(last.code == 0, "\(last.errors)")
      #expect(last.errors.contains("products of the next"))
    }
    #expect(inputs.results("out") == expected)
    #expect(!inputs.scratch.names(in: "out").contains { $0.hasPrefix(".") })

    // Nothing is kept where that is not wanted.
    let bare = try run(arguments + ["-o", "bare", "--keep", "0"])
    #expect(bare.code == 0 && inputs.results("bare") == expected)
    #expect(try run(arguments + ["--keep", "much"]).code == 64)
  }

  /// Several processes that would all do the same are refused, unless they have their shards.
  @Test func processesOfALauncherAreNotAllTheSameRun() throws {
    let data = inputs.images(48)
    func start(_ arguments: [String], rank: Int) throws -> Program.Result {
      try Program.run(
        arguments, in: inputs.scratch.path,
        environment: ["OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "\(rank)"])
    }
    for arguments in [features(data, "o"), hessian(data, "o")] {
      let first = try start(arguments, rank: 0)
      #expect(first.code == 64 && first.errors.contains("2 processes were started for one run"))
      #expect(first.errors.contains("--shard"))
      let other = try start(arguments, rank: 1)
      #expect(other.code == 64 && other.errors.isEmpty)
    }
    #expect(inputs.scratch.names(in: "o").isEmpty)
    let shard = try start(hessian(data, "o") + ["--shard", "2/2", "--batches", "2"], rank: 1)
    #expect(shard.code == 0, "\(shard.errors)")
  }

  @Test func twoDataSetsGoOnFromTheSecond() throws {
    let (one, two) = (inputs.images(16, as: "one.npy"), inputs.images(400, as: "two.npy"))
    let arguments = [
      "run", Inputs.vit, "--data", one, "--data", two, "--batch-size", "4", "--bootstrap", "20",
    ]
    #expect(try run(arguments + ["-o", "whole"]).code == 0)
    let process = try Program.start(arguments + ["-o", "out"], in: inputs.scratch.path)
    #expect(inputs.waitForRecords(5, in: "out/two.npy"))
    process.send(SIGINT)
    #expect(try process.wait().code == 75)
    let resumed = try run(arguments + ["-o", "out", "--resume"])
    #expect(resumed.code == 0, "\(resumed.errors)")
    #expect(resumed.errors.contains("going on from 4 of 4 minibatches"))
    for name in ["one.npy", "two.npy"] {
      #expect(inputs.results("out/\(name)") == inputs.results("whole/\(name)"))
    }
  }

  /// Without a folder there is nowhere to keep anything.
  @Test func aStreamIsNotResumed() throws {
    let data = inputs.images(16)
    for option in [["--resume"], ["--shard", "1/2"]] {
      let result = try run(["variance", Inputs.vit, "--data", data, "-o", "-"] + option)
      #expect(result.code == 64)
      #expect(result.output.isEmpty && result.errors.contains("-o -"))
    }
  }
}
