// The open files of one I/O thread: a small cache, so that a task can name files by path and thousands of topics do not
// need thousands of descriptors.
//
// Holds: at most `capacity` files are open; a path is open at most once here.
// Leaves to others: what the files mean; durability (tasks call `sync` on what they need durable).

import Primitives

/// Path-addressed access to a storage with a bounded number of open files. One thread's own.
public final class OpenFiles {
  /// The storage below.
  public let storage: any Storage
  private let capacity: Int
  private var open: [String: (file: FileID, lastUse: UInt64)] = [:]
  private var uses: UInt64 = 0
  private let stopsAtFailure: Bool
  /// Why no further task is run with these files; nil while all is well.
  private(set) var failure: StorageError?

  /// A cache of up to `capacity` open files.
  ///
  /// - Parameter stopsAtFailure: whether a task that fails ends the work of this thread: what comes behind a write that did not
  ///   happen, such as a checkpoint that names it, must not happen either. A full disk is waited for and ends nothing.
  public init(storage: any Storage, capacity: Int = 256, stopsAtFailure: Bool = false) {
    self.storage = storage
    self.capacity = capacity
    self.stopsAtFailure = stopsAtFailure
  }

  /// A task has failed.
  func note(_ error: StorageError) { if stopsAtFailure, error.kind != .diskFull { failure = error } }

  deinit { closeAll() }

  /// The open file at `path`; with `create`, made (with its folder) when it is not there.
  public func file(_ path: String, create: Bool) throws(StorageError) -> FileID {
    uses += 1
    if let known = open[path] {
      open[path] = (known.file, uses)
      return known.file
    }
    if open.count >= capacity { closeLeastRecentlyUsed() }
    if create, let slash = path.lastIndex(of: "/") { try storage.makeDirectory(String(path[..<slash])) }
    let file = try storage.open(path, create: create)
    open[path] = (file, uses)
    return file
  }

  /// Closes and removes the file at `path`; fine when it is not there.
  public func remove(_ path: String) throws(StorageError) {
    forget(path)
    do throws(StorageError) {
      try storage.remove(path)
    } catch  where error.kind == .notFound {
      return
    }
  }

  /// Closes the file at `path` if this cache holds it.
  public func forget(_ path: String) {
    if let known = open.removeValue(forKey: path) { storage.close(known.file) }
  }

  /// Closes everything.
  public func closeAll() {
    for known in open.values { storage.close(known.file) }
    open.removeAll()
  }

  private func closeLeastRecentlyUsed() {
    guard let oldest = open.min(by: { $0.value.lastUse < $1.value.lastUse })?.key else { return }
    forget(oldest)
  }
}
