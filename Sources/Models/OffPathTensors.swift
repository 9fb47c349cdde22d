/// Tensors that are known to have no part in the features or the logits of a network, by their names.
/// Every other tensor of a file that a network does not ask for is an error.
enum OffPathTensors {
  private enum Scope {
    /// The module that holds the tensor, in the network or beside it.
    case module
    /// A module beside the network, never in it.
    case beside
    /// The tensor itself, wherever it stands.
    case tensor
  }

  /// Patterns of one component of a name (`*` stands for any text), with what such tensors are.
  private static let table: [(scope: Scope, reason: String, patterns: [String])] = [
    (
      .tensor, "bookkeeping",
      [
        "num_batches_tracked", "n_averaged", "num_updates", "position_ids",
        "relative_position_index", "total_ops", "total_params", "anchors", "anchor_grid",
        "_extra_state", "initted", "queue", "queue_ptr", "ema_steps", "ema_decay", "global_step",
        "step",
      ]
    ),
    (
      .module, "a head that is not used",
      [
        "head", "heads", "head[0-9]", "head_*", "head-*", "fc", "fc1", "fc2", "fc3", "fc_cls",
        "fc_out", "classifier", "classifier[0-9]", "classifier_*", "*_classifier", "*_head",
        "*_heads", "linear", "linear_*", "logit", "logits", "last_linear", "output_layer",
        "last_layer", "lin", "clf", "cls_token_head", "pooler",
      ]
    ),
    (
      .module, "a projector or predictor of training",
      [
        "projector*", "projection", "projection_*", "proj_head*", "predictor*", "prediction_*",
        "prototypes*", "projectors", "visual_projection", "image_projection",
      ]
    ),
    (
      .module, "a decoder, which comes after the network",
      ["decoder*", "mask_token*", "decode_*", "to_pixels*", "pixel_decoder*"]
    ),
    (
      .module, "the loss or the metrics of training",
      [
        "loss", "losses", "*_loss", "loss_*", "criterion*", "metric", "metrics", "*_metric",
        "*_metrics", "acc", "*_acc", "accuracy", "*_accuracy", "auroc", "*_auroc", "confusion*",
        "center", "centers", "logit_scale",
        "logit_bias", "memory_bank", "optimizer*", "optim", "scheduler*", "temperature",
      ]
    ),
    (
      .beside, "the tower of texts, or the transformer of a detector",
      [
        "text*", "attn_mask", "transformer", "token_embedding*", "positional_embedding",
        "ln_final*",
        "language*", "bert", "tokenizer*",
      ]
    ),
    (
      .beside, "a part of a detector or segmenter, which comes after the network",
      [
        "fpn*", "neck*", "rpn*", "roi_*", "bbox*", "box_*", "class_embed*", "query_embed*",
        "input_proj*", "mask_*", "keypoint*", "lateral*", "inner_blocks*", "layer_blocks*",
        "sem_seg*", "auxiliary*", "aux*", "proposal*", "upsample*", "up[0-9]",
      ]
    ),
    (
      .beside, "another network",
      [
        "student*", "teacher*", "*_teacher", "*_student", "encoder_k", "encoder_q", "momentum_*",
        "*_momentum", "target_*", "online_*", "*_ema", "ema", "ema_*", "discriminator*",
        "generator*",
      ]
    ),
  ]

  /// Why a tensor has no part in the output; nil if nothing says so.
  ///
  /// - Parameters:
  ///   - name: its cleaned name.
  ///   - prefix: the prefix of the network.
  ///   - isPart: whether it is in a module that the network uses.
  static func reason(_ name: String, prefix: String, isPart: Bool) -> String? {
    let isInside = name.hasPrefix(prefix)
    var components = name.split(separator: ".")
    let own = prefix.split(separator: ".")
    var shared = 0
    while shared < own.count, shared < components.count - 1, components[shared] == own[shared] {
      shared += 1
    }
    components.removeFirst(shared)
    // Beside the network a module may itself be a part of another.
    let modules = isInside ? components.prefix(1) : components[...]
    for (scope, reason, patterns) in table {
      let looked: ArraySlice<Substring> =
        switch scope {
        case .tensor: components.suffix(1)
        case .module: isPart ? [] : modules
        case .beside: isInside ? [] : modules
        }
      // A normalisation of features is on the way to the logits.
      for component in looked where !component.contains("norm") {
        if patterns.contains(where: { fits(component, $0) }) { return reason }
      }
    }
    return nil
  }

  private static func fits(_ component: Substring, _ pattern: String) -> Bool {
    guard pattern.hasSuffix("[0-9]") else { return matches(String(component), pattern) }
    return component.dropLast() == pattern.dropLast(5) && component.last?.isNumber == true
  }
}
