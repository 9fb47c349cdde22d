import Checkpoints
import DurableFiles
import Images
import Models
import Reports
import SharedLibraries

/// A failure that ends a run, with what a user needs to mend it.
public struct VitProbeError: Error, Sendable, CustomStringConvertible {
  /// What sort of failure; each has an exit code of its own (sysexits).
  public enum Kind: Int32, Sendable, CaseIterable {
    /// The call does not make sense: unknown architecture, a glob that matches nothing.
    case usage = 64
    /// An input is malformed or does not fit another.
    case badData = 65
    /// An input does not exist.
    case noInput = 66
    /// A fault of this program.
    case software = 70
    /// An output cannot be created.
    case cannotCreate = 73
    /// Reading or writing failed on the way.
    case inputOutput = 74
    /// Stopped early; what was done is kept.
    case stoppedEarly = 75
    /// Stopped early; nothing is kept.
    case interrupted = 130

    /// The name for programs: `bad_data`.
    public var name: String {
      switch self {
      case .usage: "usage"
      case .badData: "bad_data"
      case .noInput: "no_input"
      case .software: "internal"
      case .cannotCreate: "cannot_create"
      case .inputOutput: "input_output"
      case .stoppedEarly: "stopped_early"
      case .interrupted: "interrupted"
      }
    }
  }

  /// What sort of failure.
  public let kind: Kind
  /// What was found, where, what was expected, and what to do.
  public let message: String

  /// A failure of the given kind.
  public init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  /// The message.
  public var description: String { message }

  /// The failure that any error of the libraries amounts to for a user.
  public init(_ error: any Error) {
    switch error {
    case let error as VitProbeError: self = error
    case let error as Interruption:
      self.init(error.isKept ? .stoppedEarly : .interrupted, error.description)
    case let error as FileError:
      let kind: Kind =
        switch error.kind {
        case .missing: .noInput
        case .cannotCreate: .cannotCreate
        case .io: .inputOutput
        }
      self.init(kind, error.description)
    case let error as ResultsError: self.init(error.exitKind, error.description)
    case let error as SharedLibrary.Failure: self.init(.cannotCreate, error.description)
    case let error as ImageDataError: self.init(error.exitKind, error.description)
    case let error as ModelError: self.init(error.exitKind, error.description)
    case let error as CheckpointError: self.init(error.exitKind, error.description)
    default: self.init(.software, "\(error)")
    }
  }
}

extension ResultsError {
  fileprivate var exitKind: VitProbeError.Kind {
    switch kind {
    case .missing: .noInput
    case .damaged: .badData
    case .unreadable: .inputOutput
    }
  }
}

extension ImageDataError {
  fileprivate var exitKind: VitProbeError.Kind {
    switch kind {
    case .notFound: .noInput
    case .unreadable: .inputOutput
    case .setting: .usage
    case .damaged, .unsupported, .tooLarge, .mismatch: .badData
    }
  }
}

extension CheckpointError {
  fileprivate var exitKind: VitProbeError.Kind {
    switch kind {
    case .noSuchFile: .noInput
    case .cannotCreate: .cannotCreate
    case .unreadable, .cannotWrite: .inputOutput
    default: .badData
    }
  }
}

extension ModelError {
  fileprivate var exitKind: VitProbeError.Kind {
    switch kind {
    case .unknownArchitecture, .badArgument: .usage
    default: .badData
    }
  }
}
