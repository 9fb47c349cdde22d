import Diagnostics
import Tensors

/// How the variants of a study are run.
public protocol VariantEvaluation: Sendable {
  /// What is asked.
  associatedtype Study: EvaluationStudy

  /// What is asked.
  var study: Study { get }

  /// What should be known before anything is computed, a sentence each.
  var notes: [String] { get }

  /// Files that were read besides those of the models.
  var inputFiles: [String] { get }

  /// The taps of a model that are looked at.
  func taps(of model: Int) -> Set<String>

  /// Bytes that a thread holds for a variant of a model beside its pass.
  func heldBytes(of model: Int, images: Int) throws -> Int

  /// Bytes that are kept of a minibatch in hand beside its images.
  func bytesInHand(of model: Int, images: Int) -> Int

  /// Minibatches that one variant after the other is run on before the next are read: more of them where a
  /// variant is costly to make.
  ///
  /// - Parameter bytes: what a minibatch in hand takes.
  func batchesAtOnce(of bytes: Int) -> Int

  /// Runs a model as it is, where more is made of it than class scores; nil where not.
  func runWhole(_ model: Int, on batch: BatchInHand) throws -> WholePass?

  /// Runs a variant of a model; called from any thread.
  ///
  /// - Parameter whole: the pass of the model as it is; made once for all variants that ask for it.
  func run(
    _ variant: Int, of model: Int, on batch: BatchInHand, beside whole: () throws -> WholePass
  ) throws -> VariantOutput
}

extension VariantEvaluation {
  /// None.
  public var notes: [String] { [] }
  /// None.
  public var inputFiles: [String] { [] }
  /// None.
  public func taps(of model: Int) -> Set<String> { [] }
  /// None.
  public func heldBytes(of model: Int, images: Int) throws -> Int { 0 }
  /// None.
  public func bytesInHand(of model: Int, images: Int) -> Int { 0 }
  /// One.
  public func batchesAtOnce(of bytes: Int) -> Int { 1 }
  /// Class scores alone.
  public func runWhole(_ model: Int, on batch: BatchInHand) throws -> WholePass? { nil }
}

/// What came of a variant.
public struct VariantOutput: Sendable {
  /// Class scores `[N, classes]`.
  public let logits: Tensor
  /// The mean square over the input of what was added to each image; nil where nothing was.
  public let inputChanges: [Double]?

  /// How large the weights are; nil where they are the network's own.
  public let weights: WeightNorms?

  /// Further numbers of the minibatch, as many as the study says.
  public let measures: [Double]?

  /// Class scores, and what was done to images and weights.
  public init(
    _ logits: Tensor, inputChanges: [Double]? = nil, weights: WeightNorms? = nil,
    measures: [Double]? = nil
  ) {
    (self.logits, self.inputChanges) = (logits, inputChanges)
    (self.weights, self.measures) = (weights, measures)
  }
}

/// What a network as it is makes of a minibatch.
public struct WholePass: Sendable {
  /// Class scores, and further numbers where the study asks for some.
  let output: VariantOutput
  /// The layer that variants are compared at; nil where there is none.
  let last: CentredGram?

  init(_ output: VariantOutput, last: CentredGram? = nil) {
    (self.output, self.last) = (output, last)
  }
}
