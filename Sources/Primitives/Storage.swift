// The storage seam: everything the server does to a disk goes through this protocol, so that tests can put a disk in its
// place that fails, tears, runs full and forgets what was not synced.
//
// Holds: paths are relative to the data folder, with `/`; a byte is durable only after `sync` of its file, a name only
// after `syncDirectory` of its folder.
// Leaves to others: who may call when (I/O threads only, never the loop), retries (nobody retries a failed write).

/// An open file of a `Storage`.
public struct FileID: Hashable, Sendable {
  /// The number behind it: a descriptor on a real disk.
  public let rawValue: Int32

  /// Wraps a number handed out by a storage.
  public init(rawValue: Int32) { self.rawValue = rawValue }
}

/// What a storage operation failed with.
public struct StorageError: Error, Equatable, CustomStringConvertible {
  /// What a caller can tell apart.
  public enum Kind: Sendable { case notFound, diskFull, damaged, failed }

  /// The kind of failure.
  public var kind: Kind
  /// The operation as people call it: `write`, `sync`, …
  public var operation: String
  /// The path it was about.
  public var path: String
  /// The reason in words, with the system's error number where there is one.
  public var reason: String

  /// Makes an error.
  public init(kind: Kind, operation: String, path: String, reason: String) {
    self.kind = kind
    self.operation = operation
    self.path = path
    self.reason = reason
  }

  /// Operation, path and reason in one line.
  public var description: String { "\(operation) \(path): \(reason)" }
}

/// A folder of files, real or simulated. All calls block; all are safe to make from any thread, though no two threads
/// may use one `FileID` for writing at the same time.
public protocol Storage: AnyObject, Sendable {
  /// Opens a file for reading and writing; with `create`, makes it when it is not there (`notFound` otherwise).
  func open(_ path: String, create: Bool) throws(StorageError) -> FileID
  /// Closes a file. What was not synced is not durable by this.
  func close(_ file: FileID)
  /// The length of the file in bytes.
  func size(_ file: FileID) throws(StorageError) -> Int
  /// Reads from `offset` until the buffer is full or the file ends; gives the number of bytes read.
  func read(_ file: FileID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(StorageError) -> Int
  /// Writes all of `bytes` at `offset`, growing the file as needed.
  func write(_ file: FileID, at offset: Int, _ bytes: UnsafeRawBufferPointer) throws(StorageError)
  /// Makes the file's data and length durable (`fdatasync`).
  func sync(_ file: FileID) throws(StorageError)
  /// Reserves blocks so that the file is at least `bytes` long, reading as zeroes, and later writes inside cannot run out
  /// of space.
  func preallocate(_ file: FileID, bytes: Int) throws(StorageError)
  /// Cuts or grows the file to exactly `bytes`.
  func truncate(_ file: FileID, to bytes: Int) throws(StorageError)
  /// Renames a file over another one.
  func rename(_ path: String, to newPath: String) throws(StorageError)
  /// Removes a file. Open descriptors stay usable.
  func remove(_ path: String) throws(StorageError)
  /// The names in a folder (`""`: the data folder itself), sorted; empty when the folder is not there.
  func list(_ directory: String) throws(StorageError) -> [String]
  /// Makes a folder unless it is there.
  func makeDirectory(_ path: String) throws(StorageError)
  /// Removes an empty folder; no error when it is not there.
  func removeDirectory(_ path: String) throws(StorageError)
  /// Makes the names in a folder durable.
  func syncDirectory(_ path: String) throws(StorageError)
  /// Gives a file a second name, the same, in another storage; false where that cannot be. The two are one file from then on:
  /// only for files that never change.
  func link(_ path: String, into other: any Storage) throws(StorageError) -> Bool
  /// Bytes that can still be written to this storage.
  func freeBytes() -> Int
}

extension Storage {
  /// No file has two names here.
  public func link(_ path: String, into other: any Storage) throws(StorageError) -> Bool { false }
}
