import FoundationEssentials
import Glibc
import Testing

@testable import Tensors

/// Results of single operations, and two derivatives, against PyTorch in Float64; what the cases are, and
/// how the values were made, is in `Fixtures/operations.py`.
@Suite struct GoldenOperationTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var run: @Sendable ([Tensor]) -> Tensor
    var testDescription: String { name }

    init(_ name: String, _ run: @escaping @Sendable ([Tensor]) -> Tensor) {
      (self.name, self.run) = (name, run)
    }
  }

  private struct Line {
    var shape: [Int]
    var values: [Double]
  }

  private static func lines() throws -> [String: Line] {
    let url = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "Fixtures/operations.txt")
    let text = String(decoding: try Data(contentsOf: url), as: UTF8.self)
    return text.split(separator: "\n").reduce(into: [:]) { result, line in
      let parts = line.split(separator: "\t")
      result[String(parts[0])] = Line(
        shape: parts[1] == "scalar" ? [] : parts[1].split(separator: "x").compactMap { Int($0) },
        values: parts[2].split(separator: " ").compactMap { Double($0) })
    }
  }

  /// The formula of `values` in the script.
  private func values(_ shape: [Int], _ salt: Int) -> [Double] {
    (0..<shape.reduce(1, *)).map { i in
      Double((i * 7919 + salt * 104729 + 331 * (i / 7)) % 1021 - 510) / 256 + 1.0 / 512
    }
  }

  @Test(arguments: cases)
  func resultsAndDerivativesAreThoseOfPyTorch(_ c: Case) throws {
    let lines = try Self.lines()
    let result = try #require(lines["\(c.name)/result"])
    let inputs = (0..<4).compactMap { lines["\(c.name)/input\($0)"] }
    #expect(!inputs.isEmpty)
    let x = inputs.enumerated().map { index, line in
      let isPositive = Self.positive.contains(c.name)
      return Tensor(
        values(line.shape, index).map { Float(isPositive ? abs($0) + 0.25 : $0) },
        shape: Shape(line.shape))
    }
    let plain = c.run(x)
    #expect(plain.shape == Shape(result.shape))
    #expect(distance(plain.values.map(Double.init), result.values) <= 3e-6)

    let tracked = x.map { $0.tracked() }
    let y = c.run(tracked)
    #expect(distance(y.values.map(Double.init), result.values) <= 3e-6)
    let weights = Tensor((0..<y.shape.count).map { Float(cos(Double($0))) }, shape: y.shape)
    let loss = (1 / Float(y.shape.count)) * (weights * y + 0.25 * (y * y)).sum()
    let gradient = pullback(
      [(loss, Tensor(repeating: 1, shape: []))], withRespectTo: tracked, recording: true)
    let roots = gradient.enumerated().compactMap { index, g in
      g.map { g in
        (
          value: g,
          cotangent: Tensor(
            values(g.shape.dimensions, 10 + index).map { Float($0) }, shape: g.shape)
        )
      }
    }
    let product = pullback(roots, withRespectTo: tracked)
    for (index, line) in inputs.enumerated() {
      let w = values(line.shape, 20 + index)
      func check(_ found: Tensor?, _ along: Double, _ length: Double, _ what: String) {
        let found =
          found?.values.map(Double.init) ?? [Double](repeating: 0, count: w.count)
        let bound = 2e-5 * max(length, 1e-3)
        #expect(abs(norm(found) - length) <= bound, "\(what), input \(index)")
        #expect(abs(dot(found, w) - along) <= bound * norm(w), "\(what), input \(index)")
      }
      check(gradient[index], line.values[0], line.values[1], "gradient")
      check(product[index], line.values[2], line.values[3], "product")
    }
  }

  /// Every case of the script is one of these.
  @Test func allAreCompared() throws {
    let written = try Set(Self.lines().keys.map { $0.split(separator: "/")[0] })
    #expect(Set(Self.cases.map { Substring($0.name) }) == written)
  }

  private static let positive: Set<String> = [
    "divide", "sqrt", "rsqrt", "reciprocal", "log", "power of 2.5", "power of -1.5",
  ]

  private static func mask(_ values: [Bool], _ shape: Shape) -> Tensor {
    Tensor(values.map { $0 ? 1 : 0 }, shape: shape)
  }

  static let cases: [Case] =
    arithmetic + layouts + functions + products + normalizations + convolutions + pools
    + interpolations + choices

  private static let arithmetic: [Case] = [
    .init("add") { $0[0] + $0[1] },
    .init("multiply") { $0[0] * $0[1] },
    .init("gate") { $0[0] * $0[1] },
    .init("divide") { $0[0] / $0[1] },
    .init("sum") { $0[0].sum(axes: [0, 2]) },
    .init("mean") { $0[0].mean(axes: [-1, 1], keepingAxes: true) },
    .init("variance") { $0[0].variance(axes: [0, 2]) },
    .init("biased variance") { $0[0].variance(axes: [-1], keepingAxes: true, correction: 0) },
    .init("largest") { x in
      // Rounded values have several largest ones, and no derivative.
      let rounded = Tensor(x[0].values.map { $0.rounded(.toNearestOrEven) }, shape: x[0].shape)
      return rounded.maximum(axes: [0, 2])
        + x[0].maximum(axes: [1, 2]).slice(axis: 0, start: 0, length: 1)
    },
    .init("norm") { $0[0].norm(axes: [-1], keepingAxes: true) },
    .init("normalize") { $0[0].normalized(axes: [1], epsilon: 1e-12) },
    .init("cumulative sum") { $0[0].cumulativeSum(axis: 1) },
  ]

  private static let layouts: [Case] = [
    .init("slice") {
      $0[0].slice(axis: 0, start: 1, length: 2).slice(axis: 1, start: 1, length: 3, step: 2)
    },
    .init("flip") { $0[0].reversed(axis: 0).reversed(axis: -1) },
    .init("stack") { .stacked($0, axis: 1) },
    .init("roll") { $0[0].rolled(axis: 1, by: -2).rolled(axis: 2, by: 3) },
    .init("pad constant") { $0[0].padded(axis: -1, before: 2, after: 1, mode: .constant(0.75)) },
    .init("pad reflect") { $0[0].padded(axis: -1, before: 2, after: 1, mode: .reflect) },
    .init("pad replicate") { $0[0].padded(axis: -1, before: 2, after: 1, mode: .replicate) },
    .init("pad circular") { $0[0].padded(axis: -1, before: 2, after: 1, mode: .circular) },
    .init("pad less") { $0[0].padded(axis: -1, before: -1, after: 2, mode: .constant(0)) },
    .init("index") {
      $0[0].reshaped([20, 3]).picked(axis: 0, [7, 2, 19, 18]).reshaped([2, 2, 3])
    },
    .init("take along") { $0[0].picked([1, 1, 7, 4, 10, 10], as: [3, 2]) },
    .init("masked fill") {
      $0[0].kept(where: mask([false, true, false, true], [4]), otherwise: -3)
    },
    .init("where") {
      $0[0].kept(where: mask((0..<12).map { $0 % 3 == 0 }, [3, 4]), otherwise: $0[1])
    },
    .init("pixel shuffle") { $0[0].pixelShuffled(2) },
    .init("pixel unshuffle") { $0[0].pixelUnshuffled(2) },
  ]

  private static let functions: [Case] = [
    .init("tanh") { $0[0].tanh() }, .init("sin") { $0[0].sin() }, .init("cos") { $0[0].cos() },
    .init("abs") { $0[0].abs() }, .init("erf") { $0[0].erf() }, .init("relu") { $0[0].relu() },
    .init("relu6") { (4 * $0[0]).relu6() }, .init("sigmoid") { $0[0].sigmoid() },
    .init("silu") { $0[0].silu() }, .init("gelu") { $0[0].gelu() },
    .init("gelu tanh") { $0[0].geluTanh() },
    .init("leaky relu") { $0[0].leakyReLU(slope: 0.2) }, .init("elu") { $0[0].elu(alpha: 0.7) },
    .init("mish") { $0[0].mish() }, .init("softplus") { $0[0].softplus() },
    .init("softplus 2") { $0[0].softplus(beta: 2) },
    .init("clamp") { $0[0].clamped(from: -0.7, to: 1.1) },
    .init("clamp below") { $0[0].clamped(from: 0.4) },
    .init("hard sigmoid") { (2 * $0[0]).hardSigmoid() },
    .init("hard swish") { (2 * $0[0]).hardSwish() },
    .init("square") { $0[0].power(2) }, .init("cube") { $0[0].power(3) },
    .init("power of 4") { $0[0].power(4) }, .init("sqrt") { $0[0].sqrt() },
    .init("rsqrt") { $0[0].power(-0.5) }, .init("reciprocal") { $0[0].power(-1) },
    .init("log") { $0[0].log() }, .init("power of 2.5") { $0[0].power(2.5) },
    .init("power of -1.5") { $0[0].power(-1.5) }, .init("softmax") { $0[0].softmax(axis: 1) },
    .init("log softmax") { $0[0].logSoftmax(axis: 1) },
  ]

  private static let products: [Case] =
    ["matmul", "matmul of many", "matmul row", "matmul column", "matmul dot"].map { name in
      .init(name) { $0[0].matrixProduct($0[1]) }
    } + [
      .init("einsum") { x in Einsum("bhid, bjid -> bjhi").map { $0(x[0], x[1]) } ?? x[0] },
      .init("einsum summed") { x in Einsum("abc,cd->da").map { $0(x[0], x[1]) } ?? x[0] },
      .init("attention") { scaledDotProductAttention($0[0], $0[1], $0[2]) },
      .init("attention, bias") {
        scaledDotProductAttention($0[0], $0[1], $0[2], bias: $0[3], scale: 0.3)
      },
      .init("attention, mask") {
        let bias = (0..<15).map { $0 % 4 != 1 ? 0 : -Float.infinity }
        return scaledDotProductAttention(
          $0[0], $0[1], $0[2], bias: Tensor(bias, shape: [3, 5]))
      },
      .init("attention, causal") {
        scaledDotProductAttention($0[0], $0[1], $0[2], causal: true)
      },
      .init("attention, shared") { scaledDotProductAttention($0[0], $0[1], $0[2]) },
    ]

  private static let normalizations: [Case] = [
    .init("layer norm") { $0[0].layerNorm(axes: 2, gamma: $0[1], beta: $0[2], epsilon: 1e-5) },
    .init("layer norm, scale") {
      $0[0].layerNorm(axes: 1, gamma: $0[1], beta: nil, epsilon: 1e-5)
    },
    .init("rms norm") { $0[0].rmsNorm(gamma: $0[1], epsilon: 1e-5) },
    .init("group norm") { $0[0].groupNorm(groups: 3, gamma: $0[1], beta: $0[2], epsilon: 1e-5) },
    .init("group norm 1") {
      $0[0].groupNorm(groups: 1, gamma: $0[1], beta: $0[2], epsilon: 1e-5)
    },
    .init("group norm, channels first") {
      $0[0].groupNorm(groups: 2, axis: 1, gamma: $0[1], beta: $0[2], epsilon: 1e-5)
    },
    .init("instance norm") { $0[0].groupNorm(groups: 2, epsilon: 1e-5) },
  ]

  private static let convolutions: [Case] = [
    .init("convolution") {
      convolution(
        $0[0], $0[1],
        window: .init(
          kernel: (3, 2), stride: (2, 1), padding: (1, 2, 1, 2), dilation: (1, 3)))
    },
    .init("convolution, dilated") {
      convolution($0[0], $0[1], window: .init(kernel: 3, padding: 2, dilation: 2))
    },
    .init("convolution, wide padding") {
      convolution($0[0], $0[1], window: .init(kernel: 1, padding: 2))
    },
    .init("convolution in groups") {
      convolution($0[0], $0[1], window: .init(kernel: 3, padding: 1), groups: 2)
    },
    .init("depth-wise") {
      convolution(
        $0[0], $0[1],
        window: .init(
          kernel: (3, 3), stride: (1, 2), padding: (2, 1, 2, 1), dilation: (2, 1)), groups: 3)
    },
    .init("depth-wise, 2 each") {
      convolution($0[0], $0[1], window: .init(kernel: 3, padding: 1), groups: 2)
    },
    .init("transposed convolution") {
      transposedConvolution(
        $0[0], $0[1],
        window: .init(
          kernel: (3, 2), stride: (2, 3), padding: (1, 0, 1, 0), dilation: (1, 2)),
        outputPadding: (1, 2))
    },
    .init("transposed convolution in groups") {
      transposedConvolution($0[0], $0[1], window: .init(kernel: 2, stride: 2), groups: 2)
    },
  ]

  private static let pools: [Case] = [
    .init("max pool") {
      $0[0].maxPooled(.init(kernel: (3, 2), stride: (2, 3), padding: (1, 1, 1, 1)))
    },
    .init("max pool, dilated") {
      $0[0].maxPooled(
        .init(
          kernel: (2, 2), stride: (2, 2), padding: (1, 1, 1, 1), dilation: (2, 3), ceilMode: true))
    },
    .init("average pool") {
      $0[0].averagePooled(.init(kernel: (3, 2), stride: (2, 3), padding: (1, 0, 1, 0)))
    },
    .init("average pool, ceil") {
      $0[0].averagePooled(.init(kernel: 3, stride: 2, padding: 1, ceilMode: true))
    },
    .init("average pool, inside") {
      $0[0].averagePooled(
        .init(kernel: 3, stride: 2, padding: 1, ceilMode: true), divisor: .inside)
    },
    .init("average pool, divisor") {
      $0[0].averagePooled(.init(kernel: 2, stride: 2), divisor: .fixed(3))
    },
    .init("adaptive average") { $0[0].averagePooled(height: 2, width: 3) },
    .init("adaptive average, more") { $0[0].averagePooled(height: 4, width: 5) },
    .init("adaptive average, one") { $0[0].averagePooled(height: 1, width: 1) },
    .init("adaptive max") { $0[0].maxPooled(height: 2, width: 3) },
    .init("adaptive max, whole") { $0[0].maxPooled(height: 2, width: 3) },
    .init("unfold") { x in
      let window = SlidingWindow(
        kernel: (3, 2), stride: (2, 1), padding: (1, 0, 1, 0), dilation: (1, 2))
      let y = x[0].unfolded(window)
      return y.permuted([0, 3, 2, 1]).reshaped([2, 12, y.shape[1]])
    },
    .init("fold") {
      $0[0].folded(
        .init(kernel: (2, 2), stride: (2, 2), padding: (1, 0, 1, 0), dilation: (1, 2)), height: 4,
        width: 5)
    },
  ]

  private static let interpolations: [Case] = {
    let modes: [(String, Interpolation)] = [
      ("nearest", .nearest), ("nearest-exact", .nearestExact),
      ("bilinear", .linear(alignsCorners: false)), ("bicubic", .cubic(alignsCorners: false)),
    ]
    let aligned: [(String, Interpolation)] = [
      ("bilinear", .linear(alignsCorners: true)), ("bicubic", .cubic(alignsCorners: true)),
    ]
    return modes.flatMap { name, mode in
      [(7, 3), (3, 8)].map { height, width in
        Case("\(name) \(height)x\(width)") {
          $0[0].interpolated(height: height, width: width, mode)
        }
      }
    }
      + modes.filter { $0.1 != .nearestExact }.map { name, mode in
        Case("\(name) by 1.7") {
          $0[0].interpolated(height: 6, width: 5, mode, scale: (1.7, 1.7))
        }
      }
      + aligned.map { name, mode in
        Case("\(name) aligned") { $0[0].interpolated(height: 6, width: 1, mode) }
      }
      + [
        Case("bicubic antialiased") {
          $0[0].interpolated(height: 3, width: 8, .antialiasedCubic)
        },
        Case("bilinear antialiased") {
          $0[0].interpolated(height: 3, width: 8, .antialiasedLinear)
        },
      ]
  }()

  private static let choices: [Case] = [
    .init("grid bilinear") { $0[0].sampled(at: 0.55 * $0[1]) },
    .init("grid border") { $0[0].sampled(at: 0.55 * $0[1], border: .border, alignsCorners: true) },
    .init("grid reflection") { $0[0].sampled(at: 0.55 * $0[1], border: .reflection) },
    .init("grid bicubic") {
      $0[0].sampled(at: 0.55 * $0[1], .cubic, border: .reflection, alignsCorners: true)
    },
    .init("larger") { .maximum($0[0], $0[1]) },
  ]
}
