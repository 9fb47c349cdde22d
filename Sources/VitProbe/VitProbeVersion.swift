/// The version of the program.
public enum VitProbeVersion {
  /// Major, minor, patch.
  public static let current = "0.1.0"
}
