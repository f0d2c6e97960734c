// Why a journal cannot be opened.

import DecisionLog
import Primitives

/// What keeps a journal from being recovered or continued.
public enum JournalError: Error, Equatable, CustomStringConvertible {
  /// The storage failed.
  case storage(StorageError)
  /// Bytes that had been durable are not what was written.
  case damaged(file: String, offset: Int, reason: String)
  /// Records from `from` up to and including `through` are in no segment.
  case missing(from: Sequence, through: Sequence, reason: String)
  /// The file belongs to another store.
  case otherStore(file: String)
  /// The file was written by a version of the program that knows another format.
  case unknownVersion(file: String, version: UInt32)
  /// The caller of the recovery could not use a record.
  case unusable(sequence: Sequence, reason: String)

  /// What happened, to which file, and what to do.
  public var description: String {
    switch self {
    case .storage(let error):
      "the journal cannot be read or written: \(error)"
    case .damaged(let file, let offset, let reason):
      "the journal is damaged: \(file) at byte \(offset): \(reason); restore the data folder from a copy, or see what is "
        + "lost with `escapement check` and accept the loss with --salvage"
    case .missing(let from, let through, let reason):
      "the journal lacks the records \(from) to \(through): \(reason); restore the missing files, or accept the loss with "
        + "--salvage"
    case .otherStore(let file):
      "\(file) belongs to another store; put the files of one store only into a data folder"
    case .unknownVersion(let file, let version):
      "\(file) has format version \(version), this program knows \(SegmentHeader.version); use the program that wrote it"
    case .unusable(let sequence, let reason):
      "record \(sequence) of the journal cannot be applied: \(reason)"
    }
  }
}

extension LogError {
  /// The error as `DecisionLog` reports it.
  init(_ error: JournalError) {
    let kind: Kind =
      switch error {
      case .storage: .failed
      case .damaged, .missing: .damaged
      case .otherStore, .unknownVersion: .foreign
      case .unusable: .unusable
      }
    self.init(kind, error.description)
  }
}
