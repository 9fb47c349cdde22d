import Diagnostics
import Reports

/// A part of the page: what one analysis found, from its tables alone.
struct View: Sendable {
  /// The anchor of its heading, and the name of the analysis.
  let id: String
  let title: String
  /// What is to be seen, for a reader who is not at home in it.
  let explanation: String
  /// The tables that it shows; it is left out where a run has none of them.
  let tables: [String]
  /// The figures of a run: those of the command, and what the page adds.
  var figures: @Sendable (FigureSource) throws(ResultsError) -> [Figure] = { _ in [] }

  /// In the order of the page.
  static let all: [View] = [
    .metrics, .cka, .fourier, .variance, .attention, .relations, .hessian, .landscape, .trajectory,
    .robustness, .lesion,
  ]

  static let metrics = View(
    id: "metrics", title: "Read-outs",
    explanation: "How well the networks answer as they are: if accuracy is at chance, weights, "
      + "preprocessing or labels do not fit, and nothing below means much.",
    tables: ["metrics"])

  static let cka = View(
    id: "cka", title: "CKA",
    explanation:
      "How similar the features of two layers are, from 0 to 1. A cell names its pair and "
      + "value; choosing it shows how similar its row is to every column.",
    tables: ["cka_curve", "cka"]
  ) { source throws(ResultsError) in try CKAFigures(source).all }

  static let fourier = View(
    id: "fourier", title: "Fourier spectra",
    explanation:
      "How much of each spatial frequency there is in the maps of a layer, relative to the "
      + "constant part: 0 is as much, −7 is a thousandth. Gray strips are steps into self-attention, "
      + "blue ones into subsampling.",
    tables: ["fourier"]
  ) { source throws(ResultsError) in try FourierFigures(source).all }

  static let variance = View(
    id: "variance", title: "Feature-map variance",
    explanation: "How much the maps of a layer vary, in the unit of the features squared: sizes of "
      + "different architectures have nothing to do with each other, the shape of a curve does. Gray "
      + "strips are steps into self-attention, blue ones into subsampling.",
    tables: ["variance"]
  ) { source throws(ResultsError) in try VarianceFigures(source).all }

  static let attention = View(
    id: "attention", title: "Attention",
    explanation:
      "What the attention maps of heads are like: how far they look, how evenly, how much "
      + "that depends on the query. Each grid has a cell a layer and head; ellipses are where heads look.",
    tables: ["attention", "attention_offsets"]
  ) { source throws(ResultsError) in
    let figures = AttentionFigures(source)
    return try figures.all + figures.grids + AttentionOffsetFigures(source).all
  }

  static let relations = View(
    id: "relations", title: "Relations of mixing layers",
    explanation:
      "How far the layers that mix places reach, how much their weights are of the image, of the place and of the "
      + "channel, and how many independent rows they have. Corners name the operations that lie there.",
    tables: ["relations"]
  ) { source throws(ResultsError) in try RelationsFigures(source).all }

  static let hessian = View(
    id: "hessian", title: "Hessian eigenvalues",
    explanation:
      "How sharp the loss is around the network, and how far from convex: the eigenvalues of "
      + "largest magnitude of the Hessian, of all minibatches and of each. Bars of a minibatch are residuals: an "
      + "eigenvalue lies within its bar.",
    tables: ["hessian_summary", "hessian_eigs", "hessian_density"]
  ) { source throws(ResultsError) in
    let figures = HessianFigures(source)
    return try figures.all + [figures.minibatches].compactMap(\.self)
  }

  static let landscape = View(
    id: "landscape", title: "Loss landscape",
    explanation:
      "How the loss changes as weights move away from the network: lines of one loss over the plane, the "
      + "surface, and cuts along its axes. What is flat in random directions may be sharp in others.",
    tables: ["landscape_summary", "landscape"]
  ) { source throws(ResultsError) in try LandscapeFigures(source).all }

  static let trajectory = View(
    id: "trajectory", title: "Trajectory",
    explanation:
      "The snapshots of a training on the plane that holds most of their way, over the loss there.",
    tables: ["trajectory_axes", "trajectory", "trajectory_surface"]
  ) { source throws(ResultsError) in try TrajectoryFigures(source).all }

  static let robustness = View(
    id: "robustness", title: "Robustness",
    explanation:
      "How many percentage points of accuracy a change of the images costs: noise of spatial frequencies, and "
      + "common corruptions of rising severity; and at which frequencies the loss follows the image.",
    tables: ["robustness", "robustness_gradient"]
  ) { source throws(ResultsError) in try RobustnessFigures(source).all }

  static let lesion = View(
    id: "lesion", title: "Lesions",
    explanation:
      "What the network loses without one residual branch: long bars are branches that it "
      + "needs. Small marks are heads. Gray strips are self-attentions.",
    tables: ["lesion", "lesion_build_up"]
  ) { source throws(ResultsError) in try LesionFigures(source).all }
}
