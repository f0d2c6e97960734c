// The access file on disk.
//
// Holds: a reader sees the file before a change or after it, never in between, also after a power cut; only its owner can
// read or write what a change leaves. A second change waits for nothing: it is refused while `PATH.new` is there.
// Leaves to others: which path (the setting `access`).

import Glibc

extension AccessFile {
  /// Reads a file.
  ///
  /// - Throws: `file` when it cannot be read, or when everybody can write to it; `badLine`.
  public init(path: String) throws(AccessError) { try self.init(Self.read(path)) }

  /// Changes a file: reads it, lets `body` change what it says, and puts the result in its place.
  ///
  /// - Parameter makes: whether a file that is not there is made; otherwise that is an error.
  /// - Throws: what `body` throws, after which the file is as it was; `locked`, `file`, `badLine`.
  public static func edit(
    path: String, makes: Bool, _ body: (inout AccessFile) throws(AccessError) -> Void
  ) throws(AccessError) {
    // A link stays one: what it points to is replaced.
    let path =
      Glibc.realpath(path, nil).map { resolved in
        defer { free(resolved) }
        return String(cString: resolved)
      } ?? path
    let next = path + ".new"
    // Made before the file is read, so that no other change can come in between.
    let descriptor = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw errno == EEXIST ? .locked(path: next) : .file(path: next, reason: systemText(errno))
    }
    do throws(AccessError) {
      defer { close(descriptor) }
      var file = makes && access(path, F_OK) != 0 && errno == ENOENT ? AccessFile() : try AccessFile(path: path)
      try body(&file)
      try write(file.bytes, descriptor, next)
      if rename(next, path) != 0 { throw .file(path: path, reason: systemText(errno)) }
    } catch {
      unlink(next)
      throw error
    }
    try syncFolder(of: path)
  }

  private static func read(_ path: String) throws(AccessError) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .file(path: path, reason: systemText(errno)) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .file(path: path, reason: systemText(errno)) }
    if status.st_mode & S_IWOTH != 0 {
      throw .file(path: path, reason: "everybody can write to it and so give out rights; 'chmod 600' it")
    }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = Glibc.read(descriptor, &piece, piece.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .file(path: path, reason: systemText(errno)) }
      if count == 0 { return bytes }
      bytes += piece[..<count]
      guard bytes.count <= bytesMax else { throw .file(path: path, reason: "it is larger than \(bytesMax) bytes") }
    }
  }

  private static func write(_ bytes: [UInt8], _ descriptor: Int32, _ path: String) throws(AccessError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw .file(path: path, reason: systemText(errno)) }
      rest = rest.dropFirst(count)
    }
    if fsync(descriptor) != 0 { throw .file(path: path, reason: systemText(errno)) }
  }

  private static func syncFolder(of path: String) throws(AccessError) {
    let end = path.lastIndex(of: "/")
    let folder = end.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .file(path: folder, reason: systemText(errno)) }
    defer { close(descriptor) }
    if fsync(descriptor) != 0 { throw .file(path: folder, reason: systemText(errno)) }
  }

  private static func systemText(_ number: Int32) -> String { String(cString: strerror(number)) }
}
