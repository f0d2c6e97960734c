// Replies, and what becomes of them when the store fails before they are true.
//
// The token of a reply says where its `rid` stands in the output: the position of the `rid`'s first byte in the upper 54
// bits, its length in the lower 10; length 0 when the request had none. A `rid` has at most 128 characters, each of up to six
// bytes, and two quotes: 770 bytes.

import Broker
import LineProtocol
import Primitives

extension LineSession {
  private static let lengthBits: UInt64 = 10
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
    out.appendRefusal(refusal, rid: rid)
  }

  private func register(_ rid: UnsafeRawBufferPointer?, behind start: StaticString) {
    let length = UInt64(rid?.count ?? 0)
    precondition(length >> Self.lengthBits == 0, "the length of a rid fits into a reply's token")
    output.register(UInt64(output.end + start.utf8CodeUnitCount) << Self.lengthBits | length)
  }

  // MARK: Refusing

  var hasUnanswered: Bool { isWaiting || !fetchRids.isEmpty }

  func storeFailed(_ lost: LostOutput, because failure: StorageError) {
    let refusal = Refusal(code: .storageFailed, message: "the store failed before this was durable: \(failure)")
    lost.bytes.withUnsafeBytes { bytes in
      for token in lost.tokens {
        let start = Int(token >> Self.lengthBits) - lost.start
        let length = Int(token & (1 << Self.lengthBits - 1))
        writeRefusal(
          refusal, rid: length == 0 ? nil : UnsafeRawBufferPointer(rebasing: bytes[start..<start + length]))
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
    for rid in fetchRids.sorted(by: { $0.key < $1.key }).map(\.value) {
      rid.withUnsafeBytes { writeRefusal(refusal, rid: $0.isEmpty ? nil : $0) }
    }
    fetchRids = [:]
    blockingFetch = nil
  }
}
