// beanstalkd: delays are its own, in whole seconds. A worker keeps several `reserve` on their way, and deletes what it gets.

import Glibc
import LineProtocol
import Platform
import Primitives

final class BeanstalkdPeer: Peer {
  static let always = kind("beanstalkd -f 0", ["-f", "0"], "-b FOLDER -f 0: every write is synced")
  static let standard = kind(
    "beanstalkd", [], "-b FOLDER: synced each 50 ms, so a reply stands for less than stable storage")

  private static func kind(_ name: String, _ options: [String], _ settings: String) -> PeerKind {
    PeerKind(
      name: name, settings: settings + "; delays in whole seconds; reserve and delete", program: "beanstalkd",
      package: "apt install beanstalkd"
    ) { folder, _ in BeanstalkdPeer(folder, options) }
  }

  private let port = PeerProcess.freePort()
  private let child: ChildProcess

  private init(_ folder: String, _ options: [String]) {
    child = PeerProcess.start(
      [PeerProcess.find("beanstalkd") ?? "beanstalkd", "-l", "127.0.0.1", "-p", "\(port)", "-b", folder] + options,
      in: folder, listeningOn: port)
  }

  func scheduler() -> any PeerScheduler { Scheduler(LineConnection(port: port)) }
  func receiver() -> any PeerReceiver { Receiver(LineConnection(port: port)) }
  func stop() { child.end(SIGKILL) }

  private final class Scheduler: PeerScheduler {
    let connection: LineConnection

    init(_ connection: LineConnection) { self.connection = connection }

    func schedule(_ number: Int, delayMs: Int, to out: inout ByteBuffer) {
      let seconds = Int64(max(1, (delayMs + 999) / 1000))
      out.append("put 0 ")
      out.appendInteger(seconds)
      out.append(" 600 128\r\n")
      PeerBody.append(number, dueMs: PeerBody.nowMs() + seconds * 1000, to: &out)
      out.append("\r\n")
    }

    func takeReplies() -> Int { connection.takeReplies(of: "beanstalkd", beginningWith: "I") }
  }

  private final class Receiver: PeerReceiver {
    /// Commands on their way: a connection answers them one after the other, so a delete goes between two reserves.
    private static let ahead = 64

    private let connection: LineConnection
    private var out = ByteBuffer()
    private var isBody = false

    init(_ connection: LineConnection) {
      self.connection = connection
      for _ in 0..<Self.ahead { out.append("reserve\r\n") }
      connection.send(&out)
    }

    func receive(_ use: (UnsafeRawBufferPointer) -> Void) {
      guard connection.hasUnread || connection.waits(ms: 20) && connection.receive() else { return }
      while let line = connection.nextLine() {
        if isBody {
          use(line)
          isBody = false
        } else if line.starts(with: "RESERVED ".utf8) {
          isBody = true
          out.append("delete ")
          for byte in line.dropFirst(9).prefix(while: { $0 != UInt8(ascii: " ") }) { out.append(byte: byte) }
          out.append("\r\nreserve\r\n")
        } else if !line.starts(with: "DELETED".utf8) {
          fail("beanstalkd: \(String(decoding: line, as: UTF8.self))")
        }
      }
      connection.send(&out)
    }
  }
}
