import Images
import Reports
import Tensors

extension Manifest {
  /// What every run has to say: inputs with their digests, machine, time.
  init(
    arguments: [String], configuration: JSONText, seed: UInt64, images: Int, inputs files: [String],
    data: [InputFile], wallSeconds: Double
  ) throws {
    self.init(
      version: VitProbeVersion.current, arguments: arguments, configuration: configuration,
      seed: Int(truncatingIfNeeded: seed), imageCount: images, threads: Threads.count)
    for file in Set(files).sorted() { inputs.append(try Input(reading: file)) }
    for file in data {
      let digest = SHA256()
      var size = 0
      try file.readChunks {
        digest.update($0)
        size += $0.count
      }
      inputs.append(Input(path: file.path, sha256: digest.finish(), size: size))
    }
    kernels = ["OpenBLAS \(Threads.blasKernels)"]
    self.wallSeconds = wallSeconds
  }
}
