import Glibc

/// A shared library that is loaded when it is first needed, and for as long as the program runs.
///
/// For libraries that only some commands need, or that take longer to load than the program itself.
public struct SharedLibrary: @unchecked Sendable {
  /// Why a library does not do what it is needed for, and what to install.
  public struct Failure: Error, Sendable, CustomStringConvertible {
    /// What was found, and what to do.
    public let description: String

    /// A failure in words.
    public init(description: String) { self.description = description }
  }

  private let name: String
  private let use: String
  private let handle: UnsafeMutableRawPointer

  /// Loads a library.
  ///
  /// - Parameters:
  ///   - name: its file as the loader finds it, with the version of its interface.
  ///   - package: the package of Debian that has it.
  ///   - use: what it is needed for, with the verb.
  ///   - advice: what to do where it is missing.
  public init(
    _ name: String, package: String, use: String, advice: String
  ) throws(Failure) {
    guard let handle = dlopen(name, RTLD_LAZY | RTLD_LOCAL) else {
      let reason = dlerror().map { String(cString: $0) } ?? "unknown"
      throw Failure(
        description:
          "\(use) \(name) of the package \(package), which cannot be loaded (\(reason)): "
          + advice)
    }
    (self.name, self.use, self.handle) = (name, use, handle)
  }

  /// A function, whose type the caller knows from its C declaration.
  public subscript<Function>(_ symbol: String) -> Function {
    get throws(Failure) {
      guard let address = dlsym(handle, symbol) else {
        throw Failure(description: "\(use) a later version of \(name): this one has no \(symbol)")
      }
      return unsafeBitCast(address, to: Function.self)
    }
  }
}
