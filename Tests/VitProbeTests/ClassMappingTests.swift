import Diagnostics
import Images
import Reports
import StrictJSON
import TestSupport
import Testing

@testable import VitProbe

@Suite struct ClassMappingTests {
  private func mapping(
    _ folders: [String], to count: Int, names: [String] = [],
    _ change: (inout ClassNaming) throws -> Void = { _ in }
  ) throws -> ClassMapping {
    var naming = ClassNaming()
    naming.names = folders
    try change(&naming)
    return try naming.mapping(to: ClassNaming.Head(label: "m", count: count, names: names))
  }

  @Test func numbersAreOutputs() throws {
    let mapping = try mapping([], to: 10, names: ["a", "b"])
    #expect(mapping.basis == .numbers)
    #expect(mapping(7) == 7 && mapping(nil) == nil)
  }

  /// The names of the checkpoint decide, whatever their order; punctuation and case do not matter.
  @Test func namesOfTheCheckpoint() throws {
    let outputs = [
      "T-shirt/top", "Trouser", "Ankle boot", "tench, Tinca tinca", "n01443537 goldfish",
    ]
    let found = try mapping(
      ["Ankle_boot", "T-shirt_top", "n01443537", "tench", "trouser"], to: 5, names: outputs)
    #expect(found.basis == .checkpoint)
    #expect((0..<5).map { found($0) } == [2, 0, 4, 3, 1])
    #expect(found.status == "ok")
    // A part of the classes.
    #expect(try mapping(["trouser"], to: 5, names: outputs).outputs == [1])
    // One that is not there, two that are the same output, a name of two outputs.
    for folders in [["Trouser", "Coat"], ["Trouser", "trouser"]] {
      #expect(try mapping(folders, to: 5, names: outputs).basis == .unmapped)
    }
    #expect(try mapping(["crane"], to: 2, names: ["crane", "crane"]).basis == .unmapped)
  }

  @Test func classesOfImageNet() throws {
    let found = try mapping(
      ["English_springer", "n01440764", "n03888257-parachute", "cassette player"], to: 1000)
    #expect(found.basis == .imageNet)
    #expect(found.outputs == [217, 0, 701, 482])
    #expect(ImageNetClasses.names.count == 1000)
    #expect(ImageNetClasses.names("toilet tissue") == 999)
    #expect(ImageNetClasses.names("crane bird") == 134)
    // Another head of 1000 classes that says so is not of ImageNet.
    let others = (0..<1000).map { "thing \($0)" }
    #expect(try mapping(["n01440764"], to: 1000, names: others).basis == .unmapped)
    #expect(try mapping(["n01440764"], to: 10).basis == .unmapped)
  }

  /// Where no name is known, order is no evidence; the user's word is taken, and stays visible.
  @Test func unknownNames() throws {
    let unknown = try mapping(["cat", "dog"], to: 2)
    #expect(unknown.basis == .unmapped)
    #expect(unknown(0) == nil)
    #expect(unknown.text?.contains("`labelsAreSorted`") == true)
    let sorted = try mapping(["cat", "dog"], to: 2) { $0.isSorted = true }
    #expect((sorted(0), sorted(1)) == (0, 1))
    #expect(sorted.status(beside: "ok") == "labels_as_sorted")
    #expect(sorted.status(beside: "nan_input") == "nan_input;labels_as_sorted")
    #expect(
      failure { _ = try mapping(["a", "b", "c"], to: 2) { $0.isSorted = true } }?.kind == .badData)
  }

  /// Numbers of all outputs, in an order that is that of their texts too.
  @Test func foldersCalledByNumbers() throws {
    #expect(try mapping(["0", "1", "2"], to: 3).outputs == [0, 1, 2])
    #expect(try mapping(["00", "01", "02"], to: 3).basis == .folderNumbers)
    let unpadded = (0..<12).map(String.init).sorted()
    for (folders, count) in [(["1", "2", "3"], 3), (["0", "1"], 3), (unpadded, 12)] {
      #expect(try mapping(folders, to: count).basis == .unmapped, "\(folders)")
    }
  }

  @Test func indexFiles() throws {
    let scratch = Scratch()
    func index(_ text: String) throws -> ClassIndex {
      try ClassIndex(reading: scratch.write(Array(text.utf8), as: "index"))
    }
    let texts = [
      #"{"0": ["n02123045", "tabby"], "1": ["n02099712", "dog"], "2": ["n01", "cat"]}"#,
      #"{"dog": 1, "cat": 2, "tabby": 0}"#, #"{"2": "cat", "1": "dog", "0": "tabby"}"#,
      #"["tabby", "dog", "cat"]"#, #"{"id2label": {"0": "x", "1": "dog", "2": "cat"}}"#,
      #"{"class_to_idx": {"dog": 1, "cat": 2}}"#, "tabby\r\n dog \n\ncat\n",
      "n02123045 tabby, tabby cat\nn02099712 dog\nn00000001 cat, kitty",
    ]
    for text in texts {
      let found = try mapping(["cat", "dog"], to: 3) { $0.index = try index(text) }
      #expect(found.basis == .classIndex)
      #expect(found.outputs == [2, 1], "\(text)")
    }
    let wrong = [
      "", "{}", "[]", "[1]", #"{"0": 5.5}"#, #"{"a": "b"}"#, #"{"a": -1}"#, "{", #"{"a": 1e99}"#,
    ]
    for text in wrong {
      #expect(failure { _ = try index(text) }?.kind == .badData, "\(text)")
    }
    #expect(failure { _ = try ClassIndex(reading: scratch.file("none")) }?.kind == .noInput)
    // Every class has to be there, within the head.
    let short = try index("cat\nbird\n")
    #expect(
      failure { _ = try mapping(["cat", "dog"], to: 3) { $0.index = short } }?.kind == .badData)
    #expect(failure { _ = try mapping(["bird"], to: 1) { $0.index = short } }?.kind == .badData)
  }

  // MARK: Runs

  /// Images of three classes in folders; the same with numbers for labels.
  private func images(_ names: [String], in scratch: Scratch) throws -> (ImageDataSet, ImageDataSet)
  {
    var numbers: [Int] = []
    for (place, name) in names.sorted().enumerated() {
      _ = scratch.folder(name)
      for image in 0..<4 {
        let pixels = (0..<32 * 32 * 3).map {
          UInt8(truncatingIfNeeded: $0 * (7 + place) + 31 * image)
        }
        scratch.write(
          Array("P6 32 32 255\n".utf8) + pixels, as: "\(name)/\(image).ppm")
        numbers.append(names.firstIndex(of: name) ?? 0)
      }
    }
    let folders = try ImageDataSet.open(scratch.path)
    let numbered = try ImageDataSet(
      openImageSource(scratch.path), name: folders.name, labels: LabelTable(numbers))
    return (folders, numbered)
  }

  private let outputs = ["zebra", "cat", "dog", "ant", "bee", "cow", "owl"]

  private func model(named: Bool) throws -> ModelSubject {
    try Samples.model(Samples.vit, classNames: named ? outputs : [])
  }

  @Test func metricsFollowTheNames() throws {
    let scratch = Scratch()
    let (folders, numbered) = try images(Array(outputs.prefix(3)), in: scratch)
    func metrics(
      _ data: ImageDataSet, named: Bool, _ change: (inout ClassNaming) -> Void = { _ in }
    ) throws -> (text: String, notes: [String]) {
      var naming = ClassNaming(of: data)
      change(&naming)
      let run = try FeatureRun(
        [model(named: named)], on: SampleSet(data, naming: naming), analyses: Samples.analyses,
        options: Samples.options())
      let report = try #require(try run().reports.last)
      #expect(report.analysis == "metrics")
      return (report.report.tables[0].csv, run.notes)
    }
    let known = try metrics(numbered, named: false).text
    #expect(try metrics(numbered, named: true).notes.isEmpty)
    #expect(try metrics(folders, named: true).text == known)
    let unknown = try metrics(folders, named: false)
    #expect(unknown.text.hasSuffix(",0,,,,,labels_unmapped\n"))
    #expect(unknown.notes.count == 1)
    let sorted = try metrics(folders, named: false) { $0.isSorted = true }.text
    #expect(sorted.hasSuffix(",labels_as_sorted\n"))
    #expect(sorted != known)
  }

  @Test func hessiansFollowTheNames() throws {
    let scratch = Scratch()
    let (folders, numbered) = try images(Array(outputs.prefix(3)), in: scratch)
    var settings = HessianSettings()
    (settings.top, settings.steps) = (2, 4)
    func table(
      _ data: ImageDataSet, named: Bool, isSorted: Bool = false
    ) throws -> String {
      var naming = ClassNaming(of: data)
      naming.isSorted = isSorted
      let run = try HessianRun(
        [model(named: named)], on: data, naming: naming, settings: settings, loss: TrainingLoss(),
        batchSize: 12, batchLimit: nil)
      return try run().tables[0].csv
    }
    let known = try table(numbered, named: false)
    #expect(try table(folders, named: true) == known)
    let error = failure { _ = try table(folders, named: false) }
    #expect(error?.kind == .badData)
    #expect(error?.message.contains("`labelsAreSorted`") == true)
    let sorted = try table(folders, named: false, isSorted: true)
    #expect(sorted.contains("labels_as_sorted"))
    #expect(sorted != known)
  }

  /// An unlabelled image is refused where the loss would need it, and nowhere else.
  @Test func unlabelledImagesHaveNoLoss() throws {
    let small = try SmallViT()
    func run(_ labels: [Int?], limit: Int?) throws -> HessianRun {
      let values = (0..<10 * 192).map { Float($0 % 17) / 9 - 1 }
      let source = try ArrayImages(
        name: "x", shape: [10, 3, 8, 8], element: .float32,
        bytes: values.withUnsafeBytes { Array($0) })
      return try HessianRun(
        [small.subject], on: ImageDataSet(source, name: "x", labels: LabelTable(labels)),
        settings: HessianSettings(), loss: TrainingLoss(), batchSize: 4, batchLimit: limit)
    }
    for place in [0, 2, 3] {
      var labels: [Int?] = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
      labels[place] = -1
      let error = failure { _ = try run(labels, limit: 1) }
      #expect(error?.kind == .badData)
      #expect(error?.message.contains("x#\(place) has no label") == true)
    }
    let later = try run([0, 1, 2, 0, -1, -1, 0, 1, 2, 0], limit: 1)
    #expect(later.imageCount == 4)
    #expect(failure { _ = try run([0, 1, 2, 0, 1, 2, 0, -100, 2, 0], limit: 2) } != nil)
  }

  /// Class scores that were captured carry the outputs, not the order of folders.
  @Test func capturedLabelsAreOutputs() throws {
    let scratch = Scratch()
    let (folders, numbered) = try images(Array(outputs.prefix(3)), in: scratch)
    let captured = try Samples.captured(
      model(named: true), on: SampleSet(folders), in: Scratch())
    let samples = captured.samples(limit: nil, shuffleSeed: nil)
    #expect((0..<12).map(samples.label) == (0..<12).map(numbered.label))
    let unknown = try Samples.captured(
      model(named: false), on: SampleSet(folders), in: Scratch())
    #expect(unknown.samples(limit: nil, shuffleSeed: nil).label(0) == nil)
  }
}
