// Contents put together from frames, wherever the receive buffer is emptied in between.

import AMQPProtocol
import Primitives
import SeededRandom
import Testing

@testable import Server

@Suite("AMQP contents")
struct AMQPContentTests {
  /// Lends a copy of bytes that is overwritten afterwards, as a receive buffer is.
  private func lent(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) -> Void) {
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
    copy.copyBytes(from: bytes)
    body(UnsafeRawBufferPointer(rebasing: copy[..<bytes.count]))
    for place in 0..<copy.count { copy[place] = 0xEE }
    copy.deallocate()
  }

  private func header(_ bodyBytes: Int, _ properties: [UInt8]) -> [UInt8] {
    [0, 60, 0, 0] + withUnsafeBytes(of: UInt64(bodyBytes).bigEndian) { Array($0) } + properties
  }

  @Test("a content says what its frames said, also when they are gone", arguments: 1...200 as ClosedRange<UInt64>)
  func kept(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    var content = AMQPContent()
    for _ in 0..<20 {
      func bytes(_ count: UInt64) -> [UInt8] {
        (0..<random.next(below: count)).map { _ in UInt8(random.next(below: 255)) }
      }
      let (exchange, key) = (bytes(4), bytes(4))
      let properties = [0, 0] + bytes(5)
      let body = bytes(40)
      // The method's frame goes, is kept, or the header comes before anything moves.
      lent(exchange + key) { names in
        let method = BasicPublish {
          $0.exchange = UnsafeRawBufferPointer(rebasing: names[..<exchange.count])
          $0.routingKey = UnsafeRawBufferPointer(rebasing: names[exchange.count...])
          $0.mandatory = body.count % 2 == 0
        }
        content.begin(method)
        content.keep()
      }
      lent(header(body.count, properties)) { bytes in
        content.setHeader(try! ContentHeader(bytes))
        content.keep()
      }
      var rest = body[...]
      while !rest.isEmpty {
        let piece = Array(rest.prefix(1 + Int(random.next(below: UInt64(rest.count)))))
        rest = rest.dropFirst(piece.count)
        // A body of one piece is looked at where it came.
        lent(piece) { bytes in
          content.add(bytes)
          content.keep()
          if rest.isEmpty { #expect(Array(content.body) == body) }
        }
      }
      #expect(Array(content.exchange) == exchange)
      #expect(Array(content.routingKey) == key)
      #expect(Array(content.properties) == properties)
      #expect(content.isMandatory == (body.count % 2 == 0))
      #expect(content.pieceBytes <= body.count)
    }
  }
}
