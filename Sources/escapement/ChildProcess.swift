// A program in a process of its own, with its standard output to be read line by line.
//
// Holds: the child starts with every signal unblocked and at its default (Foundation's Process hands down the blocked
// signals of Dispatch's threads, and then SIGTERM does nothing); its id stays its own until `wait` has reaped it.

import Foundation
import Glibc

struct ChildProcess: Sendable {
  let pid: pid_t
  let output: Int32

  /// Starts `path` with `arguments`; the standard error goes to the end of the file `log`.
  init(path: String, arguments: [String], log: String) throws {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var words = ([path] + arguments).map { strdup($0) }
    words.append(nil)
    defer { for word in words { free(word) } }
    var pid = pid_t()
    let code = posix_spawn(&pid, path, &actions, &attributes, words, environ)
    close(ends[1])
    guard code == 0 else {
      close(ends[0])
      throw POSIXError(.init(rawValue: code) ?? .EIO)
    }
    self.pid = pid
    output = ends[0]
  }

  /// Reads a line of output; nil at its end or after `timeoutMs` without any. Blocks.
  func readLine(timeoutMs: Int32) -> String? {
    var line: [UInt8] = []
    var byte: UInt8 = 0
    while line.count < 4_096 {
      var waiting = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
      guard poll(&waiting, 1, timeoutMs) > 0, read(output, &byte, 1) == 1 else { return nil }
      if byte == UInt8(ascii: "\n") { break }
      line.append(byte)
    }
    return String(decoding: line, as: UTF8.self)
  }

  /// Takes and forgets the rest of the output, so that the child never waits for a reader. To be called once, last.
  func discardOutput() {
    let discarding = Thread { [output] in
      var chunk = [UInt8](repeating: 0, count: 4_096)
      while read(output, &chunk, chunk.count) > 0 {}
      close(output)
    }
    discarding.start()
  }

  /// Sends a signal to a process that has not ended.
  func signal(_ number: Int32) { kill(pid, number) }

  /// Sends a signal, then waits until the process has ended or `timeoutMs` are over; gives whether it has. Blocks.
  /// After true, the id may be somebody else's.
  func end(with signal: Int32, timeoutMs: Int) -> Bool {
    kill(pid, signal)
    for _ in 0...(timeoutMs / 5) {
      if waitpid(pid, nil, WNOHANG) != 0 { return true }
      usleep(5_000)
    }
    return false
  }
}
