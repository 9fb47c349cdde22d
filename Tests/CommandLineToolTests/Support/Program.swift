import Glibc
import TestSupport

/// The built program, run as a user does.
enum Program {
  struct Result {
    /// The exit code, or minus the number of the signal that ended it.
    let code: Int32
    let output: String
    let errors: String
  }

  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// The one that `VITPROBE_PROGRAM` names; else beside the test bundle, which is the program that runs now or
  /// is named to it.
  static func path() throws -> String {
    if let named = getenv("VITPROBE_PROGRAM") { return String(cString: named) }
    var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    var places = [String(decoding: buffer[..<max(0, length)], as: UTF8.self)]
    places += CommandLine.arguments.filter { $0.hasSuffix(".xctest") }
    let source = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    places.append(source.dropLast(4).joined(separator: "/") + "/.build/debug/x")
    for place in places {
      let folder = place.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      let path = folder.joined(separator: "/") + "/vitprobe"
      if access(path, X_OK) == 0 { return path }
    }
    throw Failure(description: "no program beside \(places.joined(separator: ", "))")
  }

  /// Runs the program to its end.
  ///
  /// - Parameters:
  ///   - arguments: without the program's name.
  ///   - folder: the working folder.
  ///   - isOutputClosed: whether nobody reads what it prints.
  ///   - outputPath: where what it prints goes, if not to the result.
  ///   - fileSizeLimit: the size in KiB beyond which no file grows.
  ///   - environment: what it has besides what the tests have.
  ///   - redirections: what a shell does to its descriptors at last.
  static func run(
    _ arguments: [String], in folder: String, isOutputClosed: Bool = false,
    outputPath: String? = nil, fileSizeLimit: Int? = nil, environment: [String: String] = [:],
    redirections: String = ""
  ) throws -> Result {
    try start(
      arguments, in: folder, isOutputClosed: isOutputClosed, outputPath: outputPath,
      fileSizeLimit: fileSizeLimit, environment: environment, redirections: redirections
    ).wait()
  }

  /// A program at work.
  struct Process {
    fileprivate let id: pid_t
    fileprivate let scratch: Scratch

    func send(_ signal: Int32) { kill(id, signal) }

    /// Waits until it has said something on stderr; false if that takes too long.
    func waits(toSay text: String) -> Bool {
      for _ in 0..<15_000 {
        let said = Scratch.read(scratch.file("err")) ?? []
        if String(decoding: said, as: UTF8.self).contains(text) { return true }
        usleep(2000)
      }
      return false
    }

    /// Waits for its end; one that does not come within minutes is a failure.
    func wait() throws -> Result {
      var ending: Int32 = 0
      for turn in 0... {
        let ended = waitpid(id, &ending, WNOHANG)
        if ended == id { break }
        guard ended == 0 || errno == EINTR else {
          throw Failure(description: "cannot wait: \(errno)")
        }
        guard turn < 150_000 else {
          kill(id, SIGKILL)
          waitpid(id, &ending, 0)
          throw Failure(description: "the program did not end")
        }
        usleep(2000)
      }
      let signal = ending & 0x7F
      return Result(
        code: signal == 0 ? (ending >> 8) & 0xFF : -signal,
        output: String(decoding: Scratch.read(scratch.file("out")) ?? [], as: UTF8.self),
        errors: String(decoding: Scratch.read(scratch.file("err")) ?? [], as: UTF8.self))
    }
  }

  /// Starts the program; see `run`.
  static func start(
    _ arguments: [String], in folder: String, isOutputClosed: Bool = false,
    outputPath: String? = nil, fileSizeLimit: Int? = nil, environment: [String: String] = [:],
    redirections: String = ""
  ) throws -> Process {
    let scratch = Scratch()
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    let flags = O_WRONLY | O_CREAT | O_TRUNC
    var pipe: [Int32] = [-1, -1]
    if isOutputClosed {
      guard Glibc.pipe(&pipe) == 0 else { throw Failure(description: "no pipe") }
      close(pipe[0])
      posix_spawn_file_actions_adddup2(&actions, pipe[1], 1)
    } else {
      posix_spawn_file_actions_addopen(
        &actions, 1, outputPath ?? scratch.file("out"), flags, 0o600)
    }
    posix_spawn_file_actions_addopen(&actions, 2, scratch.file("err"), flags, 0o600)

    // The shell changes to the folder; it sets the environment and the limit too, and ignores the
    // signal that would end the program at it.
    let settings = environment.map { "export \($0)='\($1)' && " }.joined()
    let limit = fileSizeLimit.map { "trap '' XFSZ && ulimit -f \($0) && " } ?? ""
    let words =
      ["/bin/bash", "-c", "cd \"$0\" && \(settings)\(limit)exec \"$@\" \(redirections)", folder]
      + [try path()] + arguments
    var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var process: pid_t = 0
    let status = posix_spawn(&process, words[0], &actions, nil, &pointers, environ)
    if pipe[1] >= 0 { close(pipe[1]) }
    guard status == 0 else { throw Failure(description: "cannot start \(words[0]): \(status)") }
    return Process(id: process, scratch: scratch)
  }
}

/// Files that commands are run on.
struct Inputs {
  let scratch = Scratch()
  static let vit = "v=vit(image=32,patch=8,dim=24,depth=2,heads=3,classes=7)@random:1"
  static let resnet =
    "r=resnet(stem=cifar,image=32,depths=1-1,block=basic,width=6,classes=7)@random"

  /// Runs the program in a folder of its own.
  func run(_ arguments: String...) throws -> Program.Result {
    try Program.run(arguments, in: scratch.path)
  }

  /// The tables and figures in a folder.
  func results(_ folder: String) -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    for name in scratch.names(in: folder) where name != "run.json" {
      files[name] = Scratch.read(scratch.file("\(folder)/\(name)"))
    }
    return files
  }

  /// Waits until so many records are there; false if the program ends or takes too long first.
  func waitForRecords(_ count: Int, in folder: String) -> Bool {
    for _ in 0..<30_000 {
      let bytes = Scratch.read(scratch.file("\(folder)/.vitprobe-records")) ?? []
      if bytes.count(where: { $0 == UInt8(ascii: "\n") }) >= 4 + count { return true }
      usleep(1000)
    }
    return false
  }

  /// An uncompressed array of noise images; returns its name.
  func images(_ count: Int, as name: String = "x.npy") -> String {
    var state: UInt64 = 1
    var header = "{'descr': '|u1', 'fortran_order': False, 'shape': (\(count), 32, 32, 3), }"
    header += String(repeating: " ", count: (64 - (header.utf8.count + 11) % 64) % 64) + "\n"
    var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0]
    bytes += [UInt8(header.utf8.count & 0xFF), UInt8(header.utf8.count >> 8)] + Array(header.utf8)
    for _ in 0..<count * 3072 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      bytes.append(UInt8(truncatingIfNeeded: state >> 56))
    }
    scratch.write(bytes, as: name)
    return name
  }
}
