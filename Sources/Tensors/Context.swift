/// What a forward pass carries along: who listens, and in training mode what that needs. Evaluation that
/// nobody listens to costs nothing for it.
public struct Context {
  /// Who listens, if anybody.
  public let probe: (any Probe)?
  /// What training needs; nil in evaluation.
  public let training: Training?
  /// How deep the block under way lies: 0 for the first, 1 for the last.
  private var depth = 1.0

  /// A context with a listener or none, in evaluation mode or in training mode.
  public init(probe: (any Probe)? = nil, training: Training? = nil) {
    (self.probe, self.training) = (probe, training)
  }

  /// The context of one of a network's blocks.
  public func inBlock(_ index: Int, of count: Int) -> Context {
    var context = self
    if count > 1 { context.depth = Double(index) / Double(count - 1) }
    return context
  }

  /// Offers a value to whoever listens; returns what to go on with.
  public func tap(_ tap: @autoclosure () -> Tap, _ value: Tensor) -> Tensor {
    guard let probe else { return value }
    let tap = tap()
    return probe.wants(tap) ? Self.show(tap, value, to: probe) : value
  }

  /// Whether somebody wants a tap whose value would cost extra.
  public func wants(_ tap: @autoclosure () -> Tap) -> Bool {
    probe?.wants(tap()) ?? false
  }

  /// Whether somebody wants a residual branch left out.
  public func removes(_ tap: @autoclosure () -> Tap) -> Bool {
    probe?.removes(tap()) ?? false
  }

  /// A tap inside of a function, to be handed to it; nil where nobody wants it.
  public func inner(_ tap: @autoclosure () -> Tap) -> InnerTap? {
    guard let probe else { return nil }
    let tap = tap()
    return probe.wants(tap) ? { Self.show(tap, $0, to: probe) } : nil
  }

  /// What is computed about a value is exact, whatever the precision of the network's products.
  private static func show(_ tap: Tap, _ value: Tensor, to probe: any Probe) -> Tensor {
    ProductPrecision.float32 { probe.observe(tap, value) }
  }

  /// The tap of a residual branch, before it is scaled and added, with what training does to it: dropout and
  /// stochastic depth. Those who listen see it in the role ``Tap/Roles/branch``.
  ///
  /// - Parameters:
  ///   - look: gets the value before.
  public func branch(_ tap: @autoclosure () -> Tap, after look: InnerTap? = nil) -> InnerTap? {
    let own = inner(tap().adding(.branch))
    let drop: InnerTap?
    if let training, training.dropout > 0 || training.stochasticDepth > 0 {
      let place = tap().name
      drop = { stochasticDepth(dropout($0, at: place), at: place) }
    } else {
      drop = nil
    }
    let all = [look, own, drop].compactMap(\.self)
    return all.isEmpty ? nil : { value in all.reduce(value) { $1($0) } }
  }

  /// Dropout inside of a function, to be handed to it; nil where there is none.
  public func dropout(at place: @autoclosure () -> String) -> InnerTap? {
    guard let training, training.dropout > 0 else { return nil }
    let place = place()
    return { dropout($0, at: place) }
  }

  /// Dropout (Srivastava et al. 2014): in training, values are zero with the probability
  /// ``Training/dropout`` and the others grow to make up for it; in evaluation nothing happens.
  ///
  /// - Parameters:
  ///   - place: tells the random numbers from those of other places of the network.
  public func dropout(_ x: Tensor, at place: @autoclosure () -> String) -> Tensor {
    guard let training, training.dropout > 0 else { return x }
    return x
      * training.key.mask(
        x.shape, dropping: training.dropout, purpose: "dropout \(place())")
  }

  /// Stochastic depth (Huang et al. 2016): in training, the branch of an image is zero with a probability
  /// that grows evenly from 0 in the first block to ``Training/stochasticDepth`` in the last, and grows
  /// otherwise to make up for it; in evaluation nothing happens.
  ///
  /// - Parameters:
  ///   - x: `[N, ...]`.
  ///   - place: tells the random numbers from those of other places of the network.
  public func stochasticDepth(_ x: Tensor, at place: @autoclosure () -> String) -> Tensor {
    guard let training, training.stochasticDepth * depth > 0 else { return x }
    let images = x.shape[0]
    let mask = training.key.mask(
      [images, 1], dropping: training.stochasticDepth * depth,
      purpose: "stochastic depth \(place())")
    return (x.reshaped([images, x.shape.count / max(1, images)]) * mask).reshaped(x.shape)
  }
}

/// What a pass in training mode carries: where random numbers come from, how much is left out, and where
/// statistics of the minibatch go.
public struct Training {
  /// Where random numbers come from.
  public let key: RandomKey
  /// The probability that dropout sets a value to zero; below 1.
  public let dropout: Double
  /// The probability that the branch of an image is left out in the last block; below 1.
  public let stochasticDepth: Double
  /// Gets new values of buffers: running statistics.
  public let buffers: any BufferSink

  /// - Precondition: both probabilities are in `0 ..< 1`.
  public init(
    key: RandomKey, dropout: Double = 0, stochasticDepth: Double = 0, buffers: any BufferSink
  ) {
    precondition(
      (0..<1).contains(dropout) && (0..<1).contains(stochasticDepth),
      "Probabilities of \(dropout) and \(stochasticDepth) leave nothing")
    (self.key, self.dropout) = (key, dropout)
    (self.stochasticDepth, self.buffers) = (stochasticDepth, buffers)
  }
}

/// What random numbers of one training step depend on, besides their purpose and their index: never on the
/// order in which they are asked for.
public struct RandomKey: Sendable, Hashable {
  /// What the user chose.
  public let seed: UInt64
  /// The number of the step.
  public let step: UInt64

  /// The key of a step.
  public init(seed: UInt64, step: UInt64) { (self.seed, self.step) = (seed, step) }

  /// The numbers for one purpose.
  public func numbers(for purpose: String) -> CounterRandom {
    CounterRandom(seed: seed, purpose: purpose, stream: step)
  }

  /// Zeros with the given probability, and one over that of the others in the other places.
  func mask(_ shape: Shape, dropping rate: Double, purpose: String) -> Tensor {
    let random = numbers(for: purpose)
    let kept = Float(1 / (1 - rate))
    return Tensor(shape: shape) { values in
      for index in values.indices {
        values[index] = random.uniform(at: UInt64(index)) < rate ? 0 : kept
      }
    }
  }
}

/// Gets the new values of buffers that a pass in training mode gives.
public protocol BufferSink {
  /// The value, `[C]`, that a buffer is to have from the next step on.
  func update(_ name: String, to value: Tensor)
}

/// Keeps the new values of buffers by their canonical names: with the parameters, what the model of the next
/// step is built from.
public final class UpdatedBuffers: BufferSink {
  /// The values so far.
  public private(set) var values: [String: Tensor] = [:]

  /// No values yet.
  public init() {}

  /// Keeps a value.
  public func update(_ name: String, to value: Tensor) { values[name] = value.detached() }
}
