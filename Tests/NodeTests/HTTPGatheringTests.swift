// Responses are found whole however they are cut; metrics of several shards become one page.

import Primitives
import Testing

@testable import Node

@Suite("what HTTP gathers from shards")
struct HTTPGatheringTests {
  private static let response = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 11\r\n\r\nhello world"

  @Test("a response ends where it says, in pieces of any size", arguments: 1...20)
  func pieces(_ size: Int) {
    let reader = HTTPResponseReader(isForHead: false)
    let bytes = Array(Self.response.utf8)
    var place = 0
    while place < bytes.count {
      let piece = Array(bytes[place..<min(place + size, bytes.count)])
      place += piece.count
      #expect(piece.withUnsafeBytes { reader.take($0, keepsBody: true) } == (place == bytes.count))
    }
    #expect(reader.isOK)
    #expect(Array(reader.body) == Array("hello world".utf8))
  }

  @Test("the answer to HEAD has no body")
  func head() {
    let reader = HTTPResponseReader(isForHead: true)
    let head = Self.response.prefix { $0 != "h" }
    #expect(String(head).withBytes { reader.take($0) } == false)
    let whole = HTTPResponseReader(isForHead: true)
    #expect(String(Self.response.dropLast(11)).withBytes { whole.take($0) })
  }

  @Test("families of several shards stand together, each sample with its shard")
  func metrics() {
    func response(_ body: String) -> String {
      "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }
    let gathering = MetricsGathering(Array("own 1\n".utf8), waitingFor: [0, 2])
    response("# HELP a A.\n# TYPE a gauge\na 1\n# HELP b B.\n# TYPE b counter\nb{t=\"x y\"} 2\n").withBytes {
      gathering.take($0, from: 2)
    }
    #expect(!gathering.isComplete)
    response("# HELP a A.\n# TYPE a gauge\na 5\n").withBytes { gathering.take($0, from: 0) }
    #expect(gathering.isComplete)
    #expect(
      String(decoding: gathering.page, as: UTF8.self) == """
        own 1
        # HELP a A.
        # TYPE a gauge
        a{shard="0"} 5
        a{shard="2"} 1
        # HELP b B.
        # TYPE b counter
        b{shard="2",t="x y"} 2

        """)
  }

  @Test("a shard that goes is left out, one that refuses refuses for all")
  func ends() {
    let gone = MetricsGathering([], waitingFor: [0])
    gone.giveUp(0)
    #expect(gone.isComplete && gone.refused == nil && gone.page.isEmpty)
    let refused = MetricsGathering([], waitingFor: [0])
    "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".withBytes { refused.take($0, from: 0) }
    #expect(refused.isComplete && refused.refused != nil)
  }
}

@Suite("splices")
struct SpliceTests {
  @Test("what stands behind the answer is the other side's", arguments: 1...14)
  func agreed(_ size: Int) {
    let splice = Splice()
    let bytes = Array("{\"ok\":true}\nABC".utf8)
    var rest: [UInt8] = []
    var answer: Bool?
    var place = 0
    while place < bytes.count {
      let piece = Array(bytes[place..<min(place + size, bytes.count)])
      place += piece.count
      piece.withUnsafeBytes { piece in
        var piece = piece
        if answer == nil { answer = splice.agreed(&piece) }
        rest += piece
      }
    }
    #expect(answer == true)
    #expect(rest == Array("ABC".utf8))
  }

  @Test("a refusal is none, and neither is an answer without end")
  func refused() {
    "{\"ok\":false}\n".withBytes { bytes in
      var bytes = bytes
      #expect(Splice().agreed(&bytes) == false)
    }
    String(repeating: "x", count: 5000).withBytes { bytes in
      var bytes = bytes
      #expect(Splice().agreed(&bytes) == false)
    }
  }
}
