import Checkpoints
import StrictJSON

/// What a family makes of a key of the settings beside its weights: Hugging Face's `config.json`, or
/// the `model_args` of timm's. The list of a family is closed: a key that is not in it is an error.
public struct ConfigurationSetting<Configuration: ModelConfiguration>: Sendable {
  /// A place in a configuration.
  public typealias Path<Value> = ConfigurationParameter<Configuration>.Path<Value>

  let keys: [String]
  /// What it sets.
  let places: [Place]
  /// Takes the value in, or says what would be right.
  let read: @Sendable (inout Configuration, JSONValue) -> Refusal?

  /// A place of any type.
  typealias Place = ConfigurationParameter<Configuration>.Place

  init(
    keys: [String], sets places: [Place] = [],
    read: @escaping @Sendable (inout Configuration, JSONValue) -> Refusal?
  ) {
    (self.keys, self.places, self.read) = (keys, places, read)
  }

  /// What is wrong with a value.
  struct Refusal {
    /// Whether the weights say otherwise; else nobody implements the value.
    let isConflict: Bool
    let expected: String
  }

  /// Says what neither names nor shapes tell.
  public static func sets<Value: ConfigurationValue>(
    _ keys: String..., as path: Path<Value>
  ) -> Self {
    Self(keys: keys, sets: [path]) { configuration, json in
      guard let value = Value(setting: json) else {
        return Refusal(isConflict: false, expected: Value.expectation)
      }
      configuration[keyPath: path] = value
      return nil
    }
  }

  /// Says by a word of its own what neither names nor shapes tell.
  public static func sets<Value: Sendable>(
    _ key: String, as path: Path<Value>, _ words: [String: Value]
  ) -> Self {
    Self(keys: [key], sets: [path]) { configuration, json in
      guard let value = json.stringValue.flatMap({ words[$0] }) else {
        return Refusal(
          isConflict: false, expected: "one of " + words.keys.sorted().joined(separator: ", "))
      }
      configuration[keyPath: path] = value
      return nil
    }
  }

  /// Repeats what names and shapes tell: another value is a conflict.
  public static func repeats<Value: ConfigurationValue>(
    _ keys: String..., of path: Path<Value>
  ) -> Self {
    Self(keys: keys) { configuration, json in
      let own = configuration[keyPath: path]
      return Value(setting: json) == own
        ? nil
        : Refusal(isConflict: true, expected: "\(own.argument), as the shapes of the tensors say")
    }
  }

  /// Bears on the forward pass, and is implemented for these values alone.
  public static func only(_ key: String, _ values: JSONValue...) -> Self {
    Self(keys: [key]) { _, json in
      let equal = values.contains {
        $0 == json || $0.doubleValue.map { $0 == json.doubleValue } ?? false
      }
      return equal
        ? nil
        : Refusal(
          isConflict: false,
          expected: values.isEmpty ? "null" : values.map(\.compact).joined(separator: " or "))
    }
  }

  /// Repeats what names and shapes tell, in a form of its own.
  ///
  /// - Parameters:
  ///   - expected: what would be right; nil if the value is.
  static func checks(
    _ keys: String..., expecting expected: @escaping @Sendable (Configuration, JSONValue) -> String?
  ) -> Self {
    Self(keys: keys) { configuration, json in
      expected(configuration, json).map {
        Refusal(isConflict: true, expected: "\($0), as the names and shapes of the tensors say")
      }
    }
  }

  /// Does not bear on the forward pass of these weights.
  public static func harmless(_ keys: String...) -> Self { Self(keys: keys) { _, _ in nil } }
}

extension ConfigurationSetting {
  /// Keys of every settings file that do not bear on the forward pass.
  static var common: Self {
    .harmless(
      // Hugging Face: whose file it is, training, and the form of results.
      "_name_or_path", "architectures", "attn_implementation", "_attn_implementation",
      "_attn_implementation_internal", "_commit_hash", "_experts_implementation",
      "_num_labels", "attention_probs_dropout_prob", "auto_map", "chunk_size_feed_forward",
      "classifier_dropout", "drop_path_rate", "dtype", "finetuning_task", "hidden_dropout_prob",
      "id2label", "initializer_factor", "initializer_range", "is_encoder_decoder", "label2id",
      "license", "model_type", "num_labels", "out_features", "out_indices", "output_attentions",
      "output_hidden_states", "problem_type", "pruned_heads", "reshape_hidden_states",
      "return_dict", "return_loss", "stage_names", "task_specific_params", "tie_word_embeddings",
      "torch_dtype", "torchscript", "transformers_version", "use_bfloat16", "use_cache",
      "use_return_dict",
      // Hugging Face: the writing of text, which older versions put into every file.
      "add_cross_attention", "bad_words_ids", "begin_suppress_tokens", "bos_token_id",
      "cross_attention_hidden_size", "decoder_start_token_id", "diversity_penalty", "do_sample",
      "early_stopping", "encoder_no_repeat_ngram_size", "eos_token_id",
      "exponential_decay_length_penalty", "forced_bos_token_id", "forced_eos_token_id",
      "is_decoder", "length_penalty", "max_length", "min_length", "no_repeat_ngram_size",
      "num_beam_groups", "num_beams", "num_return_sequences", "output_scores", "pad_token_id",
      "prefix", "remove_invalid_values", "repetition_penalty", "return_dict_in_generate",
      "sep_token_id", "suppress_tokens", "temperature", "tf_legacy_loss", "tie_encoder_decoder",
      "tokenizer_class", "top_k", "top_p", "typical_p",
      // timm: training, and what the file says elsewhere.
      "architecture", "attn_drop_rate", "drop_block_rate", "drop_rate", "features_only",
      "label_names", "label_descriptions", "num_classes", "num_features", "pos_drop_rate",
      "patch_drop_rate", "pretrained", "pretrained_cfg", "proj_drop_rate", "weight_init",
      "zero_init_last")
  }
}

extension ModelConfiguration {
  /// Takes in the settings beside weights.
  ///
  /// - Returns: the names of the parameters that they set.
  /// - Throws: ``ModelError`` that names the key and the value: of a key that is in no list, of a value
  ///   that is not implemented, of one that the weights contradict.
  mutating func read(settingsOf weights: WeightsView) throws(ModelError) -> Set<String> {
    guard let settings = Self.settings else { return [] }
    var names: Set<String> = []
    for (place, member) in weights.settings where member.value != .null {
      let key = member.name
      func refuse(_ kind: ModelError.Kind, _ expected: String, _ advice: String) -> ModelError {
        ModelError(
          kind, place: place + key, found: member.value.compact, expected: expected,
          advice: advice)
      }
      if key == "architecture", let name = member.value.stringValue,
        let reason = Self.reasonAgainst(variant: String(name.prefix { $0 != "." }))
      {
        throw refuse(.unexpected, "an architecture of \(Self.family)", reason)
      }
      guard
        let setting = settings.first(where: { $0.keys.contains(key) })
          ?? (ConfigurationSetting<Self>.common.keys.contains(key) ? .common : nil)
      else {
        throw refuse(
          .unexpected, "no setting that is not known of \(Self.family)",
          "It may change the network; if it does not, take it out of config.json")
      }
      guard let refusal = setting.read(&self, member.value) else {
        let set = Self.parameters.filter { setting.places.contains($0.place) }.map(\.name)
        guard !set.contains("image") || imageSize.isSquare || Self.takesRectangles else {
          throw refuse(
            .unexpected, "a square: this family takes no other images", "That is not supported")
        }
        names.formUnion(set)
        continue
      }
      throw refusal.isConflict
        ? refuse(
          .conflict, refusal.expected, "The settings and the weights do not belong together")
        : refuse(
          .unexpected, refusal.expected,
          "That is another network, which is not supported; features would be wrong")
    }
    return names
  }
}

extension WeightsView {
  /// The settings beside the weights, each with the place before its key: `vision_config` is that of an
  /// image tower, `model_args` are timm's.
  var settings: [(place: String, member: JSONValue.Member)] {
    let tower = config?["vision_config"]?.objectValue
    // Of a network with two towers, only the other keys of the image tower count.
    let aside: Set =
      tower == nil
      ? ["model_args"]
      : ["model_args", "vision_config", "text_config", "projection_dim", "logit_scale_init_value"]
    // Older files of timm have the keys of `pretrained_cfg` at the top.
    let isTimm = config?["architecture"] != nil
    let all = (config?.objectValue ?? []).filter {
      !aside.contains($0.name)
        && !(isTimm && Preprocessing.pretrainedKeys.contains($0.name))
    }
    let arguments = config?["model_args"]?.objectValue ?? []
    return all.map { ("config.json: ", $0) }
      + (tower ?? []).map { ("config.json: vision_config.", $0) }
      + arguments.map { ("config.json: model_args.", $0) }
  }

  /// A setting, wherever it stands.
  func setting(_ key: String) -> JSONValue? {
    settings.last { $0.member.name == key }?.member.value
  }
}
