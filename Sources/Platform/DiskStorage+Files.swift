// What can be done to an open file: read, write, sync, size.

import CLinux
import Glibc
import Primitives

extension DiskStorage {
  /// The length of the file; see `Storage`.
  public func size(_ file: FileID) throws(StorageError) -> Int {
    var status = stat()
    let (result, number) = uninterrupted { fstat(file.rawValue, &status) }
    if result != 0 { throw storageError("size", path(of: file), number) }
    return Int(status.st_size)
  }

  /// Reads; see `Storage`.
  public func read(
    _ file: FileID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(StorageError) -> Int {
    var done = 0
    while done < buffer.count {
      let (count, number) = uninterrupted {
        pread(file.rawValue, buffer.baseAddress! + done, buffer.count - done, off_t(offset + done))
      }
      if count < 0 { throw storageError("read", path(of: file), number) }
      if count == 0 { break }
      done += count
    }
    return done
  }

  /// Writes; see `Storage`.
  public func write(_ file: FileID, at offset: Int, _ bytes: UnsafeRawBufferPointer) throws(StorageError) {
    try refuseChange("write", path(of: file))
    var done = 0
    while done < bytes.count {
      let (count, number) = uninterrupted {
        pwrite(file.rawValue, bytes.baseAddress! + done, bytes.count - done, off_t(offset + done))
      }
      if count < 0 { throw storageError("write", path(of: file), number) }
      // A write of nothing has no error number and would repeat for ever; no file system is known to do it.
      if count == 0 { throw storageError("write", path(of: file), EIO) }
      done += count
    }
  }

  /// Makes data and length durable; see `Storage`.
  public func sync(_ file: FileID) throws(StorageError) {
    try refuseChange("sync", path(of: file))
    if stallNs > 0 { SystemClock.pause(ns: stallNs) }
    let (result, number) = uninterrupted { fdatasync(file.rawValue) }
    // Whatever the reason, also a full disk: after a failed sync nobody knows what is durable, so it is never tried again.
    if result != 0 {
      var error = storageError("sync", path(of: file), number)
      error.kind = .failed
      throw error
    }
  }

  /// Reserves blocks; see `Storage`.
  public func preallocate(_ file: FileID, bytes: Int) throws(StorageError) {
    try refuseChange("preallocate", path(of: file))
    guard bytes > 0 else { return }
    while true {
      // Gives the error number itself; where the file system cannot reserve, glibc writes into every block instead.
      let number = posix_fallocate(file.rawValue, 0, off_t(bytes))
      if number == 0 { return }
      if number != EINTR { throw storageError("preallocate", path(of: file), number) }
    }
  }

  /// Cuts or grows; see `Storage`.
  public func truncate(_ file: FileID, to bytes: Int) throws(StorageError) {
    try refuseChange("truncate", path(of: file))
    let (result, number) = uninterrupted { ftruncate(file.rawValue, off_t(bytes)) }
    if result != 0 { throw storageError("truncate", path(of: file), number) }
  }
}
