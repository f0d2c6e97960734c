// The real disk behind the storage seam: one data folder, plain blocking calls.
//
// Holds: a call interrupted by a signal is repeated, a short read or write is continued, the error number is taken at once
// and travels as words; a read-only storage changes nothing on disk; descriptors are not inherited.
// Leaves to others: which thread may block here (never the loop), what to do about a failure.

import CLinux
import Glibc
import Primitives
import Synchronization

/// A `Storage` over a folder of the real file system. A `FileID` is a descriptor.
public final class DiskStorage: Storage {
  /// The data folder.
  public let root: String
  /// Whether every change is refused.
  public let isReadOnly: Bool

  // For tests and measurements: every sync takes so much longer. From the environment, read once.
  let stallNs: Int64

  // For error texts only: which path a descriptor was opened with.
  private let paths = Mutex<[Int32: String]>([:])
  private let lockDescriptor = Mutex<Int32>(-1)

  /// Opens a data folder, making it (and the folders above) unless `readOnly`.
  ///
  /// - Throws: `notFound` when it is not there and `readOnly`; `failed` when it is no folder or cannot be made.
  public init(root: String, readOnly: Bool = false) throws(StorageError) {
    self.root = root
    self.isReadOnly = readOnly
    stallNs = DiskStorage.stallFromEnvironment()
    if !readOnly { try DiskStorage.makeFolders(root) }
    let descriptor = clinux_open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
    if descriptor < 0 { throw storageError("open the data folder", root, errno) }
    _ = Glibc.close(descriptor)
  }

  deinit {
    let descriptor = lockDescriptor.withLock { $0 }
    if descriptor >= 0 { _ = Glibc.close(descriptor) }
  }

  /// Takes the folder for this process until the storage goes away; read-only storages share it among themselves.
  ///
  /// - Throws: `failed` when another process has it.
  public func lock() throws(StorageError) {
    let path = full("LOCK")
    let flags = isReadOnly ? O_RDONLY : O_RDWR | O_CREAT
    let descriptor = clinux_open(path, flags | O_CLOEXEC, 0o640)
    if descriptor < 0 { throw storageError("lock", "LOCK", errno) }
    let mode = (isReadOnly ? LOCK_SH : LOCK_EX) | LOCK_NB
    let (result, number) = uninterrupted { flock(descriptor, mode) }
    if result != 0 {
      _ = Glibc.close(descriptor)
      guard number == EWOULDBLOCK else { throw storageError("lock", "LOCK", number) }
      let reason =
        isReadOnly
        ? "a server uses the folder \(root); stop it, or look at a copy"
        : "another server, or a check, uses the folder \(root); stop it, or give this server a folder of its own"
      throw StorageError(kind: .failed, operation: "lock", path: "LOCK", reason: reason)
    }
    let earlier = lockDescriptor.withLock { held in
      defer { held = descriptor }
      return held
    }
    if earlier >= 0 { _ = Glibc.close(earlier) }
  }

  /// `ESCAPEMENT_STALL_SYNC_MS`, up to a minute: how a server does on a disk that takes its time, without such a disk.
  private static func stallFromEnvironment() -> Int64 {
    guard let text = getenv("ESCAPEMENT_STALL_SYNC_MS"), let ms = Int64(String(cString: text)) else { return 0 }
    return min(max(0, ms), 60_000) * TimeUnits.nsPerMs
  }

  func full(_ path: String) -> String { path.isEmpty ? root : "\(root)/\(path)" }

  func path(of file: FileID) -> String {
    paths.withLock { $0[file.rawValue] } ?? "descriptor \(file.rawValue)"
  }

  func refuseChange(_ operation: String, _ path: String) throws(StorageError) {
    guard isReadOnly else { return }
    let reason = "the data folder is open for reading only"
    throw StorageError(kind: .failed, operation: operation, path: path, reason: reason)
  }

  /// Opens a file; see `Storage`. A read-only storage opens for reading, whatever `create` says.
  public func open(_ path: String, create: Bool) throws(StorageError) -> FileID {
    let flags = isReadOnly ? O_RDONLY : O_RDWR | (create ? O_CREAT : 0)
    let name = full(path)
    let (descriptor, number) = uninterrupted { clinux_open(name, flags | O_CLOEXEC, 0o640) }
    if descriptor < 0 { throw storageError("open", path, number) }
    paths.withLock { $0[descriptor] = path }
    return FileID(rawValue: descriptor)
  }

  /// Closes a file; see `Storage`.
  public func close(_ file: FileID) {
    _ = paths.withLock { $0.removeValue(forKey: file.rawValue) }
    _ = Glibc.close(file.rawValue)
  }
}

/// A `StorageError` of an error number.
func storageError(_ operation: String, _ path: String, _ number: Int32) -> StorageError {
  let kind: StorageError.Kind =
    switch number {
    case ENOSPC, EDQUOT: .diskFull
    case ENOENT: .notFound
    default: .failed
    }
  return StorageError(kind: kind, operation: operation, path: path, reason: SystemError.text(number))
}
