import Reports

/// The layers of all models of all runs, each under one number.
///
/// Tables name what they measured: the value after a branch (`blocks.0.attn_res`), the branch
/// (`blocks.0.attn_branch`), its attention map (`blocks.0.attn_map`). Those are one site of the network, and
/// sites of one parent are a block. Where a model has values of whole blocks alone (`layer2.1`), what was
/// measured inside one is of that site. A page that is asked for a layer shows what there is of its site,
/// and of its block where a table has nothing nearer.
struct LayerIndex {
  /// A site of a model.
  struct Layer: Equatable {
    let run: Int
    let model: String
    /// The name without what it is that was measured there.
    let site: String
    /// The name that a table gave it first.
    let name: String
    var kind: String?
    var depth: Double?

    /// The block that the site belongs to.
    var block: String { LayerIndex.block(of: site) }
  }

  private struct Key: Hashable {
    let run: Int
    let model: String
    let site: String
  }

  /// By number; those of a model in the order of the forward pass, as far as tables tell it.
  private(set) var layers: [Layer] = []
  private var numbers: [Key: Int] = [:]

  /// Collects the layers of runs, table by table: those of most layers first.
  init(_ runs: [RunResults]) throws(ResultsError) {
    for run in runs {
      var own: [Layer] = []
      var places: [Key: Int] = [:]
      for name in ["fourier", "variance", "cka_curve", "cka", "lesion", "attention"] {
        guard let table = run.table(name) else { continue }
        for column in ["layer_name", "block_name", "layer_a_name"] where table.has(column) {
          let models = try table.models(table.has("model") ? "model" : "model_a")
          let names = try table.texts(column)
          let kinds = table.has("kind") ? try table.texts("kind") : nil
          let depths = table.has("depth") ? try table.numbers("depth") : nil
          for row in names.indices where !names[row].isEmpty {
            let site = Self.site(of: names[row])
            let key = Key(run: run.number, model: models[row], site: site)
            let block = Key(run: run.number, model: models[row], site: Self.block(of: site))
            if let place = places[key] ?? places[block] {
              if own[place].depth == nil { own[place].depth = depths?[row] }
              if own[place].kind == nil { own[place].kind = kinds?[row] }
              continue
            }
            places[key] = own.count
            own.append(
              Layer(
                run: run.number, model: models[row], site: site, name: names[row],
                kind: kinds?[row], depth: depths?[row]))
          }
        }
      }
      // By model as listed, by block in the order in which blocks came up.
      for model in run.models {
        var blocks: [String] = []
        let mine = own.filter { $0.model == model.label }
        for layer in mine where !blocks.contains(layer.block) { blocks.append(layer.block) }
        let grouped = Dictionary(grouping: mine, by: \.block)
        for layer in blocks.flatMap({ grouped[$0] ?? [] }) {
          numbers[Key(run: run.number, model: layer.model, site: layer.site)] = layers.count
          layers.append(layer)
        }
      }
    }
  }

  /// The number of a layer by any of its names; nil for one that no table of layers has.
  func number(_ run: Int, _ model: String, _ name: String) -> Int? {
    let site = Self.site(of: name)
    return numbers[Key(run: run, model: model, site: site)]
      ?? numbers[Key(run: run, model: model, site: Self.block(of: site))]
  }

  /// `blocks.0.attn` of `blocks.0.attn_res`, `layer1.0` of `layer1.0.branch`.
  static func site(of name: String) -> String {
    for ending in [".branch", "_branch", "_res"]
    where name.hasSuffix(ending) && name.count > ending.count {
      return String(name.dropLast(ending.count))
    }
    // Some models have several maps of one attention: `attn_map_raw`, `attn_map`.
    let dot = name.lastIndex(of: ".") ?? name.startIndex
    guard let map = name[dot...].firstRange(of: "_map"), map.lowerBound > name.startIndex else {
      return name
    }
    let isEnd = map.upperBound == name.endIndex || name[map.upperBound] == "_"
    return isEnd ? String(name[..<map.lowerBound]) : name
  }

  /// `blocks.0` of `blocks.0.attn`; a site whose name ends in a number, or has one part, is its own.
  static func block(of site: String) -> String {
    guard let dot = site.lastIndex(of: "."), dot > site.startIndex else { return site }
    let last = site[site.index(after: dot)...]
    return last.allSatisfy(\.isNumber) ? site : String(site[..<dot])
  }
}
