import Glibc

/// The checkpoints and images that come with the program.
///
/// They are looked for, in this order: where `VITPROBE_DATA` says; in `share/vitprobe` and
/// `notebooks-data` beside the program or above it (so that a build tree finds its package's); in
/// `notebooks-data` of the working folder.
public enum BundledData {
  /// The names of the bundled checkpoints, as in `demo:vit`.
  public static let checkpoints = ["vit", "refiner", "resnet", "alternet"]

  private static let marker = "checkpoints"

  /// The folder with the bundled data.
  ///
  /// - Throws: ``VitProbeError`` `.noInput` if it is nowhere.
  public static func folder() throws(VitProbeError) -> String {
    var tried: [String] = []
    func found(_ path: String) -> Bool {
      tried.append(path)
      return access(path + "/" + marker, F_OK) == 0
    }
    if let value = getenv("VITPROBE_DATA") {
      let path = String(cString: value)
      if found(path) { return path }
      throw VitProbeError(
        .noInput, "VITPROBE_DATA is \(path), which holds no bundled \(marker)")
    }
    var above = programFolder()
    for _ in 0..<6 {
      guard let place = above else { break }
      for name in ["share/vitprobe", "notebooks-data"] where found(place + "/" + name) {
        return place + "/" + name
      }
      above = parent(of: place)
    }
    if found("notebooks-data") { return "notebooks-data" }
    throw VitProbeError(
      .noInput,
      "the bundled data are not to be found (looked at \(tried.joined(separator: ", "))); "
        + "set VITPROBE_DATA to the folder notebooks-data of the source")
  }

  /// The file of a bundled checkpoint.
  public static func checkpoint(_ name: String) throws(VitProbeError) -> String {
    let path = try folder() + "/checkpoints/\(name)_fmnist.safetensors"
    guard access(path, F_OK) == 0 else {
      throw VitProbeError(
        .usage,
        "no bundled checkpoint is called \"\(name)\"; there are "
          + checkpoints.map { "demo:\($0)" }.joined(separator: ", "))
    }
    return path
  }

  /// The bundled images: test images of Fashion-MNIST with labels.
  public static func images() throws(VitProbeError) -> String {
    let path = try folder() + "/images/fmnist-test-1024-images-idx3-ubyte.gz"
    guard access(path, F_OK) == 0 else {
      throw VitProbeError(.noInput, "\(path): the bundled images are missing")
    }
    return path
  }

  private static func programFolder() -> String? {
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    guard length > 0 else { return nil }
    return parent(of: String(decoding: buffer[..<length], as: UTF8.self))
  }

  private static func parent(of path: String) -> String? {
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return nil }
    return String(path[..<slash])
  }
}
