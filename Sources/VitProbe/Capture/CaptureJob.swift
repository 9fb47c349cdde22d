import Checkpoints
import Diagnostics
import Images
import Reports
import StrictJSON
import Tensors

extension FeatureJob {
  /// Opens the subject and the data of a capture.
  ///
  /// - Throws: ``VitProbeError`` before anything is computed; `.usage` for more than one subject or
  ///   data set.
  public func prepareCapture(as format: FeatureFileFormat) throws -> PreparedCapture {
    guard subjects.count == 1, data.count == 1 else {
      throw VitProbeError(.usage, "capture takes one subject and one `data` at a time")
    }
    let subjects = try openSubjects()
    let (argument, samples) = try openSamples(for: subjects)[0]
    let capture = try FeatureCapture(subjects[0], on: samples, taps: taps, options: options)
    return PreparedCapture(job: self, capture: capture, data: argument, format: format)
  }
}

/// A capture, ready to go.
public struct PreparedCapture: Sendable {
  /// The job that it belongs to.
  public let job: FeatureJob
  /// The capture.
  public let capture: FeatureCapture
  /// Where its samples come from.
  public let data: DataArgument
  /// What is written.
  public let format: FeatureFileFormat

  /// Carries the capture out into a folder, with its `run.json`: all files appear, or none.
  ///
  /// - Parameters:
  ///   - path: the output folder.
  ///   - replace: whether results of another command or of other settings may be replaced.
  ///   - force: whether a file that no run wrote may be replaced.
  ///   - opened: told of the folder before anything is computed.
  ///   - elapsed: the seconds since the start, asked for at the end.
  /// - Returns: what came of it, and the names of the files.
  public func run(
    to path: String, replace: Bool = false, force: Bool = false,
    opened: (OutputFolder) -> Void = { _ in }, elapsed: () -> Double,
    progress: (Int, Int) -> Void = { _, _ in }
  ) throws -> (outcome: FeatureCapture.Outcome, files: [String]) {
    var configuration = job.configuration(of: [capture.subject], on: capture.data, from: data)
    configuration += [
      JSONValue.Member("classes", ClassMapping.json([capture.classes], of: [capture.subject])),
      JSONValue.Member("format", .string(format.rawValue)),
      JSONValue.Member("taps", .array(capture.taps.map { .string($0.tap.name) })),
    ]
    let provenance = Provenance(
      arguments: job.arguments, configuration: .object(configuration),
      inputs: try Manifest.Input.reading(
        capture.subject.inputFiles, data: capture.data.inputFiles),
      seed: job.seed, estimators: [],
      notes: capture.subject.labelledNotes + capture.notes)
    let folder = try OutputFolder(
      path, identity: provenance.identity(of: "capture"), replace: replace, force: force,
      writing: [format.fileName])
    opened(folder)
    let outcome = try folder.write(format.fileName) { path in
      try capture(to: path, format: format, progress: progress)
    }
    let files = try folder.finish(
      provenance.manifest(
        images: outcome.images, skipped: outcome.skipped.map(Manifest.Skip.init),
        notes: outcome.notes, wallSeconds: elapsed()))
    return (outcome, files)
  }
}
