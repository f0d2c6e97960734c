// What can be done to names and folders: rename, remove, list, make, sync, free space.

import CLinux
import Glibc
import Primitives

extension DiskStorage {
  /// Renames; see `Storage`.
  public func rename(_ path: String, to newPath: String) throws(StorageError) {
    try refuseChange("rename", path)
    if Glibc.rename(full(path), full(newPath)) != 0 { throw storageError("rename to \(newPath)", path, errno) }
  }

  /// Removes a file; see `Storage`.
  public func remove(_ path: String) throws(StorageError) {
    try refuseChange("remove", path)
    if unlink(full(path)) != 0 { throw storageError("remove", path, errno) }
  }

  /// Lists a folder; see `Storage`.
  public func list(_ directory: String) throws(StorageError) -> [String] {
    guard let stream = opendir(full(directory)) else {
      let number = errno
      if number == ENOENT { return [] }
      throw storageError("list", directory, number)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      // The end and an error look alike but for the error number.
      errno = 0
      guard let entry = readdir(stream) else {
        let number = errno
        if number != 0 { throw storageError("list", directory, number) }
        break
      }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Makes a folder and those above it; see `Storage`.
  public func makeDirectory(_ path: String) throws(StorageError) {
    try refuseChange("make folder", path)
    try DiskStorage.makeFolders(full(path))
  }

  /// Removes an empty folder; see `Storage`.
  public func removeDirectory(_ path: String) throws(StorageError) {
    try refuseChange("remove folder", path)
    if rmdir(full(path)) != 0 {
      let number = errno
      if number != ENOENT { throw storageError("remove folder", path, number) }
    }
  }

  /// Makes the names in a folder durable; see `Storage`.
  public func syncDirectory(_ path: String) throws(StorageError) {
    try refuseChange("sync folder", path)
    if stallNs > 0 { SystemClock.pause(ns: stallNs) }
    try DiskStorage.syncFolder(full(path), named: path)
  }

  /// Links; see `Storage`. The folder must be there.
  public func link(_ path: String, into other: any Storage) throws(StorageError) -> Bool {
    guard let other = other as? DiskStorage else { return false }
    try other.refuseChange("link", path)
    if Glibc.link(full(path), other.full(path)) == 0 { return true }
    let number = errno
    // Another file system, one without links, or too many of them.
    if [EXDEV, EPERM, EMLINK, EOPNOTSUPP].contains(number) { return false }
    throw storageError("link", path, number)
  }

  /// Free bytes for a process without privileges; 0 when the file system does not say.
  public func freeBytes() -> Int {
    var status = statvfs()
    guard statvfs(root, &status) == 0 else { return 0 }
    let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    return overflow ? .max : Int(clamping: bytes)
  }

  static func syncFolder(_ folder: String, named path: String) throws(StorageError) {
    let descriptor = clinux_open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    if descriptor < 0 { throw storageError("sync folder", path, errno) }
    defer { _ = Glibc.close(descriptor) }
    let (result, number) = uninterrupted { fsync(descriptor) }
    if result != 0 { throw storageError("sync folder", path, number) }
  }

  /// Makes a folder and those above it, each durable: nobody else syncs the folders around the data folder.
  static func makeFolders(_ path: String) throws(StorageError) {
    var parent = path.hasPrefix("/") ? "/" : "."
    for part in path.split(separator: "/") {
      let folder = parent == "." ? String(part) : parent == "/" ? "/\(part)" : "\(parent)/\(part)"
      if mkdir(folder, 0o750) == 0 {
        try syncFolder(parent, named: parent)
      } else {
        let number = errno
        if number != EEXIST { throw storageError("make folder", folder, number) }
      }
      parent = folder
    }
  }
}
