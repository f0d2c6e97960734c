// Replies, and what becomes of them when the store fails before they are true.

import Broker
import LineProtocol
import Primitives

extension LineSession {
  private static let accepted: StaticString = "{\"ok\":true,\"rid\":"
  private static let refused: StaticString = "{\"ok\":false,\"rid\":"

  /// Begins a reply: `{"ok":true` and the `rid`. Fields follow, and the end of the line.
  @inline(__always) func beginReply(_ request: Request) { beginReply(rid: request.rid) }

  /// The same with the `rid` as it stood on the line.
  func beginReply(rid: UnsafeRawBufferPointer?) {
    registerReply(rid: rid)
    out.beginReply(rid: rid)
  }

  /// Registers a reply that somebody else writes next.
  func registerReply(rid: UnsafeRawBufferPointer?) { register(rid, behind: Self.accepted) }

  /// Writes the whole reply to a refused request.
  func writeRefusal(_ refusal: Refusal, rid: UnsafeRawBufferPointer?) {
    register(rid, behind: Self.refused)
    refusedWith = refusal.code
    out.appendRefusal(refusal, rid: rid)
  }

  private func register(_ rid: UnsafeRawBufferPointer?, behind start: StaticString) {
    output.register(ReplyToken(at: output.end + start.utf8CodeUnitCount, length: rid?.count ?? 0).bits)
  }

  // MARK: Refusing

  var hasUnanswered: Bool { isWaiting || !waiting.isEmpty }

  func storeFailed(_ lost: LostOutput, because failure: StorageError) {
    let refusal = Refusal(code: .storageFailed, message: "the store failed before this was durable: \(failure)")
    lost.bytes.withUnsafeBytes { bytes in
      for token in lost.tokens {
        let rid = ReplyToken(token).rid(from: lost.start)
        writeRefusal(refusal, rid: rid.map { UnsafeRawBufferPointer(rebasing: bytes[$0]) })
      }
    }
    refuseUnanswered(Refusal(code: .storageFailed, message: "the store has failed; restart the server"))
  }

  func shutDown() { refuseUnanswered(Refusal(code: .shuttingDown, message: "the server is stopping")) }

  /// Answers what waits for something that will not come.
  private func refuseUnanswered(_ refusal: Refusal) {
    if let line = blocked {
      blocked = nil
      line.withUnsafeBytes { bytes in
        guard (try? reader.parse(bytes)) != nil else { return }
        writeRefusal(refusal, rid: (try? reader.rid()) ?? nil)
      }
    }
    for fetch in waiting.sorted(by: { $0.key < $1.key }).map(\.value) {
      fetch.withRid { writeRefusal(refusal, rid: $0) }
    }
    waiting = [:]
    blockingFetch = nil
  }
}
