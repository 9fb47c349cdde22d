/// Names of models and data as cells of a table.
public enum TableName {
  /// What pandas' `read_csv` (2.3) and R's `read.csv` take for a missing value unless they are told
  /// otherwise.
  private static let missing: Set<String> = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
  ]

  /// Whether a reader of the table would not see the name.
  public static func readsAsMissing(_ name: String) -> Bool { missing.contains(name) }
}
