import TestSupport
import Testing

/// What a user relies on when figures are compared: the same bytes however a run is shared out.
@Suite struct DeterminismTests {
  private let inputs = Inputs()

  /// Whatever kernels products and OpenBLAS take; between kernels, digits differ.
  @Test(arguments: [
    [:], ["OPENBLAS_CORETYPE": "Haswell", "VITPROBE_KERNELS": "avx2"], ["VITPROBE_KERNELS": "sse2"],
  ])
  func threadsDoNotChangeAByte(kernels: [String: String]) throws {
    var first: [String: [UInt8]] = [:]
    for threads in ["1", "2", "3"] {
      let folder = "t\(threads)"
      let result = try Program.run(
        [
          "run", "demo:vit", "demo:resnet", "demo:alternet", "--limit", "72", "--batch-size", "16",
          "--analyses", "cka,fourier,variance,attention", "--bootstrap", "20", "--threads",
          threads, "-q", "-o", folder,
        ], in: inputs.scratch.path, environment: kernels)
      #expect(result.code == 0, "\(result.errors)")
      var files: [String: [UInt8]] = [:]
      for name in inputs.scratch.names(in: folder) where name != "run.json" {
        files[name] = Scratch.read(inputs.scratch.file("\(folder)/\(name)"))
      }
      #expect(files.count > 15)
      if first.isEmpty { first = files } else { #expect(files == first) }
    }
  }

  /// What `--dry-run` announces is what a run takes, on models of the size that people use.
  @Test(arguments: [("vit_base_patch16_224@random", 4), ("resnet50@random", 8)])
  func memoryIsWhatWasAnnounced(subject: String, batchSize: Int) throws {
    let data = inputs.images(2 * batchSize)
    let arguments = [
      "run", subject, "--data", data, "--batch-size", "\(batchSize)", "--threads", "2",
      "--bootstrap", "0", "-v", "-o", "out",
    ]
    func mebibytes(_ text: String, before word: String) throws -> Double {
      let words = text.split { $0 == " " || $0 == "\n" || $0 == "," || $0 == ":" }
      let place = try #require(words.lastIndex(of: Substring(word)), "\(text)")
      return try #require(Double(words[place - 1]), "\(text)")
    }
    let plan = try Program.run(arguments + ["--dry-run"], in: inputs.scratch.path)
    #expect(plan.code == 0, "\(plan.errors)")
    let announced = try mebibytes(plan.output + plan.errors, before: "MiB")
    let result = try Program.run(arguments, in: inputs.scratch.path)
    #expect(result.code == 0, "\(result.errors)")
    let taken = try mebibytes(
      result.errors.split(separator: "\n").last.map(String.init) ?? "", before: "MiB")
    #expect(taken <= 1.2 * announced && taken >= 0.8 * announced, "\(taken) of \(announced)")
  }
}
