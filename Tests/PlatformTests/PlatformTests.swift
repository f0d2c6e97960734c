// The system calls, each once for real.

import Platform
import Primitives
import Testing

@Suite struct PlatformTests {
  private func withStorage(_ body: (DiskStorage) throws -> Void) throws {
    let storage = try DiskStorage(root: "/tmp/escapement-platform-\(SystemRandom.next())")
    defer {
      for name in (try? storage.list("a")) ?? [] { try? storage.remove("a/\(name)") }
      try? storage.removeDirectory("a/b")
      for name in (try? storage.list("")) ?? [] { try? storage.remove(name) }
      try? storage.removeDirectory("a")
      try? storage.removeDirectory("")
    }
    try body(storage)
  }

  @Test("a disk does what the storage seam says")
  func disk() throws {
    try withStorage { storage in
      try storage.makeDirectory("a/b")
      try storage.makeDirectory("a")
      let file = try storage.open("a/file", create: true)
      let bytes = Array("tick".utf8)
      try bytes.withUnsafeBytes { try storage.write(file, at: 6, $0) }
      try storage.preallocate(file, bytes: 4096)
      try storage.sync(file)
      #expect(try storage.size(file) == 4096)
      try storage.truncate(file, to: 10)
      var read = [UInt8](repeating: 9, count: 20)
      #expect(try read.withUnsafeMutableBytes { try storage.read(file, at: 4, into: $0) } == 6)
      #expect(Array(read.prefix(7)) == [0, 0] + bytes + [9])
      try storage.rename("a/file", to: "a/other")
      try storage.syncDirectory("a")
      #expect(try storage.list("a") == ["b", "other"] && storage.list("nowhere") == [])
      storage.close(file)
      try storage.removeDirectory("a/b")
      try storage.removeDirectory("a/b")
      try storage.remove("a/other")
      #expect(storage.freeBytes() > 0)
      let error = #expect(throws: StorageError.self) { try storage.open("a/other", create: false) }
      #expect(error?.kind == .notFound && error?.operation == "open")
    }
  }

  @Test("a folder serves one server, and a reader changes nothing")
  func lockAndReadOnly() throws {
    try withStorage { storage in
      try storage.lock()
      let second = try DiskStorage(root: storage.root)
      let error = #expect(throws: StorageError.self) { try second.lock() }
      #expect(error?.reason.contains("another server") == true)
      let reader = try DiskStorage(root: storage.root, readOnly: true)
      let file = try reader.open("LOCK", create: true)
      #expect(throws: StorageError.self) { try reader.truncate(file, to: 5) }
      #expect(throws: StorageError.self) { try reader.remove("LOCK") }
      #expect(throws: StorageError.self) { try reader.makeDirectory("x") }
      #expect(throws: StorageError.self) { try DiskStorage(root: storage.root + "/none", readOnly: true) }
      reader.close(file)
    }
  }

  @Test("a connection carries bytes and its end; events carry the generation", arguments: ["127.0.0.1", "::1", "*"])
  func connection(host: String) throws {
    guard let listener = try? Socket.listen(host: host, port: 0) else {
      #expect(host == "::1", "only a machine without IPv6 may lack an address")
      return
    }
    defer { Socket.close(listener) }
    let epoll = try Epoll(capacity: 4)
    try epoll.add(listener, generation: 17, .readable)
    #expect(try epoll.wait(timeoutNs: 0) == 0)
    #expect(Socket.accept(listener) == .none)
    let client = try Socket.connect(host: host == "*" ? "127.0.0.1" : host, port: Socket.localPort(listener))
    #expect(try epoll.wait(timeoutNs: 5_000_000_000) == 1)
    #expect(epoll[0].descriptor == listener && epoll[0].generation == 17 && epoll[0].readiness.contains(.readable))
    guard case .connection(let server) = Socket.accept(listener) else {
      Issue.record("there is a connection")
      return
    }
    defer { Socket.close(server) }
    try epoll.add(server, generation: .max, .readable)
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 8)
    defer { memory.deallocate() }
    #expect(Socket.read(server, into: memory) == .wouldBlock)
    #expect(Array("hello".utf8).withUnsafeBytes { Socket.write(client, $0) } == .bytes(5))
    #expect(try epoll.wait(timeoutNs: 5_000_000_000) == 1)
    #expect(epoll[0].descriptor == server && epoll[0].generation == .max)
    #expect(Socket.read(server, into: memory) == .bytes(5))
    Socket.close(client)
    #expect(try epoll.wait(timeoutNs: 5_000_000_000) == 1 && epoll[0].readiness.contains(.readable))
    #expect(Socket.read(server, into: memory) == .closed)
  }

  @Test("listening on a port that is taken says so")
  func portTaken() throws {
    let listener = try Socket.listen(host: "127.0.0.1", port: 0)
    defer { Socket.close(listener) }
    let port = Socket.localPort(listener)
    let error = #expect(throws: SystemError.self) { try Socket.listen(host: "127.0.0.1", port: port) }
    #expect(error?.description.hasPrefix("listen on 127.0.0.1:\(port): Address already in use") == true)
    #expect(throws: SystemError.self) { try Socket.connect(host: "no such host", port: 1) }
  }

  @Test("a signal raised twice is raised once; a thread ends before its join does")
  func signalsAndThreads() throws {
    let signal = try EventSignal()
    #expect(!signal.clear() && !signal.wait(timeoutNs: 0))
    signal.raise()
    signal.raise()
    #expect(signal.wait(timeoutNs: -1) && !signal.clear())
    let thread = try Thread(name: "a name longer than fifteen") { signal.raise() }
    thread.join()
    #expect(signal.clear())
    #expect(SystemClock.wallNs() > 1_700_000_000_000_000_000 && SystemClock.bootNs() > 0)
    #expect(SystemRandom.storeID() != SystemRandom.storeID() && ProcessSettings.raiseOpenFiles() > 0)
  }
}
