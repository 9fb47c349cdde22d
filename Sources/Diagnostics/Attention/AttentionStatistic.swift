/// What is told of tokens and of attention maps.
///
/// Distances, entropies and mutual information are of attention among the patches: rows and columns of
/// class tokens are dropped and rows made to sum to 1, as in `self_attention_analysis.ipynb` of
/// naver-ai/cl-vs-mim. Similarities and ranks are of whole maps.
enum AttentionStatistic: String, CaseIterable, Sendable {
  /// The mean cosine of two different patches' features (over-smoothing; Zhou et al. 2021).
  case tokenSimilarity = "token_similarity"
  /// The mean cosine of the maps of two different heads of a layer.
  case headSimilarity = "head_similarity"
  /// The share of pairs of heads whose maps have a cosine above a threshold.
  case similarHeads = "similar_heads"
  /// The cosine of a head's map and that of the same head in the layer before (Zhou et al. 2021).
  case layerSimilarity = "layer_similarity"
  /// The mean distance between a query and the keys that it attends to, in pixels of the image
  /// (Dosovitskiy et al. 2021).
  case distance
  /// The mean entropy of a query's attention, in nats.
  case entropy
  /// The entropy of attention spread evenly over the patches.
  case uniformEntropy = "uniform_entropy"
  /// Mutual information of queries and keys over the root of the product of their entropies
  /// (Park et al. 2023): 0 where all queries attend alike.
  case mutualInformation = "nmi"
  /// The exponential of the entropy of the normalised singular values (Roy and Vetterli 2007).
  case effectiveRank = "effective_rank"
  /// The mean way from a query to the keys that it attends to, to the right, in pixels.
  case offsetX = "dx"
  /// The same, downwards.
  case offsetY = "dy"
  /// The covariance of that way over queries and keys, in square pixels.
  case covarianceXX = "cov_xx"
  /// The same of both directions.
  case covarianceXY = "cov_xy"
  /// The same, downwards.
  case covarianceYY = "cov_yy"

  /// Whether it is of where heads look, which has a table and a figure of its own.
  var isOffset: Bool {
    switch self {
    case .offsetX, .offsetY, .covarianceXX, .covarianceXY, .covarianceYY: true
    default: false
    }
  }

  /// Whether there is a value for each head.
  var isPerHead: Bool {
    switch self {
    case .tokenSimilarity, .headSimilarity, .similarHeads, .uniformEntropy: false
    default: true
    }
  }

  /// The title of an axis.
  var title: String {
    switch self {
    case .tokenSimilarity: "Cosine of tokens"
    case .headSimilarity: "Cosine of heads"
    case .similarHeads: "Share of similar heads"
    case .layerSimilarity: "Cosine with the layer before"
    case .distance: "Attention distance"
    case .entropy, .uniformEntropy: "Entropy"
    case .mutualInformation: "Normalized mutual information"
    case .effectiveRank: "Effective rank"
    default: "Offset"
    }
  }

  /// The unit of an axis.
  var unit: String? {
    switch self {
    case .distance: "px"
    case .entropy, .uniformEntropy: "nats"
    default: nil
    }
  }

  /// The title of a figure.
  var headline: String {
    switch self {
    case .tokenSimilarity: "Similarity of tokens over depth"
    case .headSimilarity: "Similarity of the heads of a layer"
    case .similarHeads: "Heads of a layer that are alike"
    case .layerSimilarity: "Similarity of successive layers' attention"
    case .distance: "Attention distance over depth"
    case .entropy, .uniformEntropy: "Entropy of attention over depth"
    case .mutualInformation: "Mutual information of queries and keys"
    case .effectiveRank: "Effective rank of attention maps"
    default: "Where heads look"
    }
  }

  /// What the figure shows, for a reader who cannot see it.
  var explanation: String {
    switch self {
    case .tokenSimilarity:
      "The mean cosine of two patches' features in each block: towards 1, tokens become the same."
    case .headSimilarity:
      "The mean cosine of the attention maps of two heads of a layer: low where heads differ."
    case .similarHeads: "The share of pairs of heads whose maps are alike."
    case .layerSimilarity:
      "The cosine of each head's attention map with that of the layer before: towards 1, attention "
        + "collapses."
    case .distance: "How far a query is from the keys that it attends to, for each head."
    case .entropy, .uniformEntropy:
      "How evenly a query attends, for each head; the dotted line is even attention."
    case .mutualInformation:
      "How much attention depends on the query, for each head: 0 where all queries attend alike."
    case .effectiveRank: "How many independent rows an attention map has, for each head."
    default: "How far a head looks from the query."
    }
  }
}
