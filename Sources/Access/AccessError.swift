// What can be wrong with an access file and with a change of one, in words that say what to do.

/// Why an access file cannot be read or changed.
public enum AccessError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A line of the file cannot be understood; lines count from 1.
  case badLine(Int, String)
  /// A grant cannot be understood.
  case badGrant(String)
  /// A name that no entry can have.
  case badName(String)
  /// There is an entry of this name already.
  case nameTaken(String)
  /// There is no entry of this name.
  case unknownName(String)
  /// The file could not be read or written.
  case file(path: String, reason: String)
  /// Somebody else is changing the file, or died while doing so.
  case locked(path: String)

  /// What happened and what to do, in a line.
  public var description: String {
    switch self {
    case .badLine(let line, let reason): "line \(line): \(reason)"
    case .badGrant(let reason): reason
    case .badName(let name): "'\(name)' is no name for an entry; \(AccessFile.nameRule)"
    case .nameTaken(let name): "there is an entry '\(name)' already; remove it first, or take another name"
    case .unknownName(let name): "there is no entry '\(name)'"
    case .file(let path, let reason): "\(path): \(reason)"
    case .locked(let path):
      "\(path) is there: another change is under way; if none is, one has crashed, and the file can be removed"
    }
  }
}
