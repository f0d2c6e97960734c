// The calls of the storage seam on a simulated disk.

import Primitives
import Synchronization

extension SimulatedStorage {
  /// Opens a file; see `Storage`.
  public func open(_ path: String, create: Bool) throws(StorageError) -> FileID {
    try state.withLock { (state) throws(StorageError) in
      if state.hasCrashed { throw state.stopped("open", path) }
      if state.names.now.files[path] == nil {
        guard create, state.names.now.folders.contains(SimulatedNames.folder(of: path)) else {
          throw StorageError(kind: .notFound, operation: "open", path: path, reason: "no such file (simulated)")
        }
        try state.change("create", path) { state in
          let file = state.makeFile()
          state.names.apply(.link(path, file))
        }
      }
      let descriptor = state.nextDescriptor
      state.nextDescriptor += 1
      state.open[descriptor] = (path, state.names.now.files[path]!)
      return FileID(rawValue: descriptor)
    }
  }

  /// Closes a file; see `Storage`.
  public func close(_ file: FileID) {
    state.withLock { state in
      let entry = state.open.removeValue(forKey: file.rawValue)
      // What a process that is gone had open was closed when it went.
      precondition(entry != nil || file.rawValue < state.firstDescriptor, "a file is closed once")
    }
  }

  /// The length of the file; see `Storage`.
  public func size(_ file: FileID) throws(StorageError) -> Int {
    try state.withLock { (state) throws(StorageError) in
      let (path, number) = state.entry(file)
      if state.hasCrashed { throw state.stopped("size", path) }
      return state.files[number]!.content.count
    }
  }

  /// Reads; see `Storage`.
  public func read(
    _ file: FileID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(StorageError) -> Int {
    // Only the place of the memory goes through the lock, which takes nothing that is not sendable.
    let address = UInt(bitPattern: buffer.baseAddress)
    let capacity = buffer.count
    return try state.withLock { (state) throws(StorageError) in
      let (path, number) = state.entry(file)
      if state.hasCrashed { throw state.stopped("read", path) }
      if state.failsReads { throw state.failed("read", path) }
      let content = state.files[number]!.content
      let count = max(0, min(capacity, content.count - offset))
      if count > 0 {
        content.withUnsafeBytes { bytes in
          UnsafeMutableRawPointer(bitPattern: address)!.copyMemory(from: bytes.baseAddress! + offset, byteCount: count)
        }
      }
      return count
    }
  }

  /// Writes; see `Storage`.
  public func write(_ file: FileID, at offset: Int, _ bytes: UnsafeRawBufferPointer) throws(StorageError) {
    let whole = Array(bytes)
    try state.withLock { (state) throws(StorageError) in
      let (path, number) = state.entry(file)
      var copy = whole
      if state.spoils.remove(path) != nil, !copy.isEmpty { copy[copy.count / 2] ^= 1 }
      let length = state.files[number]!.bytes(afterWriteAt: offset, count: copy.count)
      try state.demand(bytes: length, of: number, "write", path)
      try state.change("write \(copy.count) bytes at \(offset)", path) { state in
        state.files[number]!.apply(.write(offset: offset, bytes: copy))
      }
    }
  }

  /// Makes data and length durable; see `Storage`.
  public func sync(_ file: FileID) throws(StorageError) {
    try state.withLock { (state) throws(StorageError) in
      let (path, number) = state.entry(file)
      let fails = { (state: inout State) in
        var random = state.random
        state.files[number]!.failSync(&random)
        state.random = random
      }
      try state.change("sync", path, partly: fails) { $0.files[number]!.sync() }
    }
  }

  /// Reserves space; see `Storage`.
  public func preallocate(_ file: FileID, bytes: Int) throws(StorageError) {
    try state.withLock { (state) throws(StorageError) in
      let (path, number) = state.entry(file)
      try state.demand(bytes: bytes, of: number, "preallocate", path)
      try state.change("preallocate \(bytes)", path) { state in
        if state.files[number]!.content.count < bytes { state.files[number]!.apply(.resize(bytes: bytes)) }
      }
    }
  }

  /// Cuts or grows; see `Storage`.
  public func truncate(_ file: FileID, to bytes: Int) throws(StorageError) {
    try state.withLock { (state) throws(StorageError) in
      let (path, number) = state.entry(file)
      try state.demand(bytes: bytes, of: number, "truncate", path)
      try state.change("truncate to \(bytes)", path) { $0.files[number]!.apply(.resize(bytes: bytes)) }
    }
  }

  /// Renames; see `Storage`.
  public func rename(_ path: String, to newPath: String) throws(StorageError) {
    try state.withLock { (state) throws(StorageError) in
      guard let file = state.names.now.files[path], state.names.now.folders.contains(SimulatedNames.folder(of: newPath))
      else { throw StorageError(kind: .notFound, operation: "rename", path: path, reason: "no such file (simulated)") }
      try state.change("rename to \(newPath)", path) { $0.names.apply(.rename(path, to: newPath, file)) }
    }
  }

  /// Removes a file; see `Storage`.
  public func remove(_ path: String) throws(StorageError) {
    try state.withLock { (state) throws(StorageError) in
      guard state.names.now.files[path] != nil else {
        throw StorageError(kind: .notFound, operation: "remove", path: path, reason: "no such file (simulated)")
      }
      try state.change("remove", path) { $0.names.apply(.unlink(path)) }
    }
  }

  /// Lists a folder; see `Storage`.
  public func list(_ directory: String) throws(StorageError) -> [String] {
    try state.withLock { (state) throws(StorageError) in
      if state.hasCrashed { throw state.stopped("list", directory) }
      if state.failsReads { throw state.failed("list", directory) }
      return state.children(of: directory)
    }
  }

  /// Makes a folder and those above it; see `Storage`.
  public func makeDirectory(_ path: String) throws(StorageError) {
    try state.withLock { (state) throws(StorageError) in
      var made = ""
      for part in path.split(separator: "/") {
        made += made.isEmpty ? String(part) : "/\(part)"
        let folder = made
        if state.names.now.folders.contains(folder) { continue }
        try state.change("make folder", folder) { $0.names.apply(.makeFolder(folder)) }
      }
    }
  }

  /// Removes an empty folder; see `Storage`.
  public func removeDirectory(_ path: String) throws(StorageError) {
    try state.withLock { (state) throws(StorageError) in
      guard state.names.now.folders.contains(path) else { return }
      guard state.children(of: path).isEmpty else {
        throw StorageError(kind: .failed, operation: "remove folder", path: path, reason: "not empty (simulated)")
      }
      try state.change("remove folder", path) { $0.names.apply(.removeFolder(path)) }
    }
  }

  /// Makes the names in a folder durable; see `Storage`.
  public func syncDirectory(_ path: String) throws(StorageError) {
    try state.withLock { (state) throws(StorageError) in
      guard state.names.now.folders.contains(path) else {
        throw StorageError(kind: .notFound, operation: "sync folder", path: path, reason: "no such folder (simulated)")
      }
      try state.change("sync folder", path, partly: { _ in }) { $0.names.sync(folder: path) }
    }
  }

  /// What the capacity leaves.
  public func freeBytes() -> Int { state.withLock { max(0, $0.capacityBytes - $0.usedBytes) } }
}

extension SimulatedStorage.State {
  /// Runs an operation under the faults that are set.
  ///
  /// - Parameter partly: what is done of a sync that fails or is cut by a crash; nil for other operations, which a crash lets
  ///   happen in memory, so that any part of them may have reached the disk, and a failure does not.
  mutating func change(
    _ operation: String, _ path: String, partly: ((inout Self) -> Void)? = nil, _ body: (inout Self) -> Void
  ) throws(StorageError) {
    if hasCrashed { throw stopped(operation, path) }
    operations += 1
    if keepsLog { log.append("\(operations) \(operation) \(path)") }
    let fault = faults[operations]
    if fault == .failFromHere { failsAlways = true }
    if fault == .crash {
      hasCrashed = true
      if partly == nil { body(&self) }
      throw stopped(operation, path)
    }
    if failsAlways || fault == .failOnce {
      partly?(&self)
      throw failed(operation, path)
    }
    body(&self)
  }

  func entry(_ file: FileID) -> (path: String, file: Int) {
    guard let entry = open[file.rawValue] else { preconditionFailure("file \(file.rawValue) is open") }
    return entry
  }

  func demand(bytes: Int, of file: Int, _ operation: String, _ path: String) throws(StorageError) {
    guard capacityBytes < .max else { return }
    let growth = bytes - files[file]!.content.count
    if growth > 0 && usedBytes + growth > capacityBytes {
      throw StorageError(kind: .diskFull, operation: operation, path: path, reason: "no space left (simulated)")
    }
  }

  func children(of folder: String) -> [String] {
    let prefix = folder.isEmpty ? "" : folder + "/"
    let all = Array(names.now.files.keys) + names.now.folders.filter { !$0.isEmpty }
    return all.filter { $0.hasPrefix(prefix) && !$0.dropFirst(prefix.count).contains("/") && $0 != folder }
      .map { String($0.dropFirst(prefix.count)) }.sorted()
  }

  func stopped(_ operation: String, _ path: String) -> StorageError {
    StorageError(kind: .failed, operation: operation, path: path, reason: "the machine has stopped (simulated)")
  }

  func failed(_ operation: String, _ path: String) -> StorageError {
    StorageError(kind: .failed, operation: operation, path: path, reason: "input/output error (simulated)")
  }
}
