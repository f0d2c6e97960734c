// A folder that comes into being whole or not at all: it is made under another name, and gets its own when it is finished.
//
// Holds: what bears the name is finished and durable; what was begun and not finished bears the name with `.partial` behind it.
// Leaves to others: what is in it.

import Glibc
import Primitives

/// A folder in the making.
public struct UnfinishedFolder: Sendable {
  private let path: String
  private let partial: String

  /// For the folder `path`, an absolute path, whose parent is there.
  public init(path: String) {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    self.path = path
    partial = path + ".partial"
  }

  /// Begins the folder.
  ///
  /// - Throws: `failed` when it is there already, or begun already.
  public func begin() throws(StorageError) -> DiskStorage {
    if access(path, F_OK) == 0 { throw storageError("make folder", path, EEXIST) }
    if mkdir(partial, 0o750) != 0 {
      let number = errno
      var error = storageError("make folder", partial, number)
      if number == EEXIST {
        error.reason = "it is there already: another copy is being made, or one was interrupted; remove it"
      }
      throw error
    }
    return try DiskStorage(root: partial)
  }

  /// Gives the folder its name, durably.
  public func finish() throws(StorageError) {
    if Glibc.rename(partial, path) != 0 { throw storageError("rename to \(path)", partial, errno) }
    let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    try DiskStorage.syncFolder(parent, named: parent)
  }
}
