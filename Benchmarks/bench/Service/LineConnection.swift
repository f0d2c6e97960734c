// A blocking connection that moves whole lines with as little work as can be: the benchmark must not be what is slow.
//
// Holds: a line given by `nextLine` is good until the next `receive`.
// Leaves to others: what lines say (LineScan), requests (RequestText).

import Glibc
import LineProtocol
import Platform
import Primitives

final class LineConnection: @unchecked Sendable {
  private let descriptor: Int32
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 << 20, alignment: 64)
  private var start = 0
  private var end = 0
  /// Where the search for the next newline goes on.
  private var searched = 0

  /// Connects to a server; reads give up after `timeoutS`.
  convenience init(_ server: ServerProcess, timeoutS: Int = 60) { self.init(port: server.port, timeoutS: timeoutS) }

  /// Connects to a port of this machine.
  init(port: UInt16, timeoutS: Int = 60) {
    do throws(SystemError) {
      descriptor = try Socket.connect(host: "127.0.0.1", port: port)
    } catch { fail("\(error)") }
    var limit = timeval(tv_sec: timeoutS, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit {
    Socket.close(descriptor)
    buffer.deallocate()
  }

  /// Says that nothing more will be sent.
  func finishWriting() { Socket.finishWriting(descriptor) }

  /// Sends all of `text` and empties it.
  func send(_ text: inout ByteBuffer) {
    while !text.isEmpty {
      guard case .bytes(let count) = Socket.write(descriptor, text.readable) else { fail("the server hung up") }
      text.consume(count)
    }
  }

  /// Sends all of `bytes`.
  func send(_ bytes: UnsafeRawBufferPointer) {
    var rest = bytes
    while rest.count > 0 {
      guard case .bytes(let count) = Socket.write(descriptor, rest) else { fail("the server hung up") }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  /// Reads what is there, waiting for something; false after the timeout or at the end.
  func receive() -> Bool {
    if start == end {
      (start, end, searched) = (0, 0, 0)
    } else if end == buffer.count {
      precondition(start > 0, "a line is longer than the buffer")
      memmove(buffer.baseAddress!, buffer.baseAddress! + start, end - start)
      (start, end, searched) = (0, end - start, searched - start)
    }
    guard
      case .bytes(let count) = Socket.read(descriptor, into: UnsafeMutableRawBufferPointer(rebasing: buffer[end...]))
    else { return false }
    end += count
    return true
  }

  /// What was received and not taken, for wires that are not made of lines; good until the next `receive`.
  var unread: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: buffer[start..<end]) }

  /// Takes `count` bytes of `unread`.
  func take(_ count: Int) {
    precondition(count <= end - start, "what is taken was received")
    start += count
    searched = start
  }

  /// What was received is not whole yet: nobody need look at it before more has come.
  func noteLookedAt() { searched = end }

  /// Waits until there is something to receive, at most `ms`.
  func waits(ms: Int32) -> Bool {
    var asked = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    return poll(&asked, 1, ms) > 0
  }

  /// Whether bytes were received that nobody has looked at.
  var hasUnread: Bool { searched < end }

  /// The next whole line that was received, without its newline.
  func nextLine() -> UnsafeRawBufferPointer? {
    let base = buffer.baseAddress!
    guard let found = memchr(base + searched, 10, end - searched) else {
      searched = end
      return nil
    }
    let line = UnsafeRawBufferPointer(start: base + start, count: found - (base + start))
    start += line.count + 1
    searched = start
    return line
  }

  /// Counts the whole lines received and forgets them; all must be good replies.
  func takeReplies() -> Int { takeReplies { LineScan.isGoodReply($0) } }

  /// The same for the replies of a peer, of which the good ones begin with this character.
  func takeReplies(of peer: StaticString, beginningWith first: Unicode.Scalar) -> Int {
    takeReplies(of: peer) { $0.first == UInt8(ascii: first) }
  }

  private func takeReplies(of peer: StaticString = "the server", _ isGood: (UnsafeRawBufferPointer) -> Bool) -> Int {
    var count = 0
    while let line = nextLine() {
      guard isGood(line) else { fail("\(peer): \(String(decoding: line, as: UTF8.self))") }
      count += 1
    }
    return count
  }

  /// Sends `text` and waits for one good reply; what comes behind it stays to be read.
  func exchange(_ text: inout ByteBuffer) {
    send(&text)
    while true {
      if let line = nextLine() {
        guard LineScan.isGoodReply(line) else { fail(String(decoding: line, as: UTF8.self)) }
        return
      }
      guard receive() else { fail("no reply came") }
    }
  }

  /// The number called `name` in the server's `stats`.
  func statistic(_ name: String) -> Int {
    var text = ByteBuffer()
    text.append("{\"op\":\"stats\"}\n")
    send(&text)
    while true {
      if let line = nextLine() { return LineScan.number(after: "\"\(name)\":", in: line) ?? 0 }
      guard receive() else { fail("stats did not come") }
    }
  }
}

/// Finding fields in lines that the server wrote, without parsing them.
enum LineScan {
  /// Whether a line is a reply that says ok.
  static func isGoodReply(_ line: UnsafeRawBufferPointer) -> Bool {
    // {"ok":true
    line.count >= 10 && line.loadUnaligned(as: UInt64.self) == 0x7274_3A22_6B6F_227B
  }

  /// The digits that follow `field`, searched from `place` on, which moves behind them.
  @inline(__always)
  static func number(after field: StaticString, in line: UnsafeRawBufferPointer, _ place: inout Int) -> Int? {
    let length = field.utf8CodeUnitCount
    while place + length < line.count {
      guard let quote = memchr(line.baseAddress! + place, Int32(field.utf8Start[0]), line.count - place) else {
        return nil
      }
      place = UnsafeRawPointer(quote) - line.baseAddress!
      if place + length < line.count, memcmp(quote, field.utf8Start, length) == 0 {
        place += length
        return digits(line, &place)
      }
      place += 1
    }
    return nil
  }

  @inline(__always)
  private static func digits(_ line: UnsafeRawBufferPointer, _ place: inout Int) -> Int {
    var value = 0
    while place < line.count, case let digit = Int(line[place]) - 48, digit >= 0, digit < 10 {
      value = value &* 10 &+ digit
      place += 1
    }
    return value
  }

  /// The number after `field`, wherever it is: for lines that are not many.
  static func number(after field: String, in line: UnsafeRawBufferPointer) -> Int? {
    let text = String(decoding: line, as: UTF8.self)
    guard let range = text.firstRange(of: field) else { return nil }
    return Int(text[range.upperBound...].prefix { $0.isNumber || $0 == "-" })
  }
}
