/// What somebody may have meant by a name that is not there.
public enum NearMatch {
  /// The names nearest to a wrong one, at most three; also those that begin as it does.
  public static func names(near wrong: String, among known: [String]) -> [String] {
    let limit = max(2, wrong.count / 3)
    let tolerance = wrong.count < 3 ? -1 : wrong.count < 4 ? 0 : max(1, wrong.count / 5)
    return known.map { name in
      let (whole, start) = distances(wrong, name)
      return (name: name, whole: whole, start: start)
    }
    .filter { $0.whole <= limit || $0.start <= tolerance }
    .sorted { ($0.start, $0.whole, $0.name) < ($1.start, $1.whole, $1.name) }
    .prefix(3).map(\.name)
  }

  /// "Did you mean …?" with the nearest names; empty if none is near.
  public static func question(_ wrong: String, among known: [String]) -> String {
    let near = names(near: wrong, among: known)
    return near.isEmpty ? "" : "Did you mean " + near.joined(separator: ", ") + "?"
  }

  /// Insertions, deletions and replacements of characters that lead from one text to the other, and to
  /// the beginning of the other that is nearest.
  private static func distances(_ a: String, _ b: String) -> (whole: Int, start: Int) {
    let (a, b) = (Array(a.utf8.prefix(200)), Array(b.utf8.prefix(200)))
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let replaced = diagonal + (x == y ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
      }
    }
    return (row[b.count], row.min() ?? a.count)
  }
}
