// Headers both ways, JSON and binary.

import Primitives
import SeededRandom
import Testing

@testable import RemotingProtocol

@Suite("headers")
struct HeaderTests {
  @Test("a JSON response, byte for byte")
  func jsonExample() throws {
    let asked = try ReadFrame(json: #"{"code":310,"opaque":7,"extFields":{}}"#)
    let written = bytes { buffer in
      var frame = RemotingFrameWriter(response: .success, to: asked.header, &buffer)
      frame.field("msgId", "0A\u{1}\"", &buffer)
      frame.field("queueOffset", -5, &buffer)
      frame.endHeader(&buffer)
      buffer.append("ok")
      frame.end(&buffer)
    }
    let header =
      #"{"code":0,"extFields":{"msgId":"0A\u0001\"","queueOffset":"-5"},"flag":1,"language":"JAVA","opaque":7,"#
      + #""serializeTypeCurrentRPC":"JSON","version":401}"#
    #expect(written == frame(Array(header.utf8), body: Array("ok".utf8)))
  }

  @Test("a binary response, byte for byte")
  func binaryExample() throws {
    let request = layout(Int16(310), UInt8(0), Int16(453), Int32(9), Int32(0), Int32(0), Int32(0))
    let asked = try ReadFrame(frame(request, type: 1))
    let written = bytes { buffer in
      var frame = RemotingFrameWriter(response: .topicNotExist, to: asked.header, remark: "no", &buffer)
      frame.field("msgId", "0A", &buffer)
      frame.field("queueOffset", -5, &buffer)
      frame.endHeader(&buffer)
      buffer.append("ok")
      frame.end(&buffer)
    }
    let fields = layout(Int16(5), "msgId", Int32(2), "0A", Int16(11), "queueOffset", Int32(2), "-5")
    let header = layout(
      Int16(17), UInt8(0), Int16(401), Int32(9), Int32(1), Int32(2), "no", Int32(fields.count), fields)
    #expect(written == frame(header, body: Array("ok".utf8), type: 1))
  }

  @Test("what a broker tells its clients, byte for byte")
  func serverRequests() throws {
    let changed = bytes { $0.appendConsumerIDsChanged(group: "g", opaque: 3, serialization: .json) }
    let header =
      #"{"code":40,"extFields":{"consumerGroup":"g"},"flag":2,"language":"JAVA","opaque":3,"#
      + #""serializeTypeCurrentRPC":"JSON","version":401}"#
    #expect(changed == frame(Array(header.utf8)))

    let check = TransactionCheck(
      stateTableOffset: 1, commitLogOffset: 2, messageID: "m", transactionID: "t", offsetMessageID: "o")
    let topic = Array("orders".utf8)
    for serialization in [RemotingSerialization.json, .binary] {
      let asked = try topic.withBytes { topic throws(RemotingError) in
        try ReadFrame(
          try bytes { buffer throws(RemotingError) in
            try buffer.appendTransactionCheck(
              check, message: PulledMessage(topic: topic, body: .empty, properties: .empty), opaque: 4,
              serialization: serialization)
          })
      }
      #expect(asked.header.request == .checkTransactionState && asked.header.isOneWay && asked.header.opaque == 4)
      #expect(
        asked.texts == [
          "tranStateTableOffset": "1", "commitLogOffset": "2", "msgId": "m", "transactionId": "t", "offsetMsgId": "o",
        ])
      var messages = PulledMessageReader(asked.body)
      #expect(try messages.next()?.topic.text == "orders")
    }
  }

  @Test("what cannot be written leaves nothing behind")
  func unencodableCheck() {
    var buffer = ByteBuffer()
    buffer.append("before")
    let topic = [UInt8](repeating: 97, count: 128)
    let check = TransactionCheck(
      stateTableOffset: 1, commitLogOffset: 2, messageID: "m", transactionID: "t", offsetMessageID: "o")
    topic.withBytes { topic in
      let message = PulledMessage(topic: topic, body: .empty, properties: .empty)
      do throws(RemotingError) {
        try buffer.appendTransactionCheck(check, message: message, opaque: 1, serialization: .json)
        Issue.record("a topic of 128 bytes has no place")
      } catch {
        #expect(error == .unencodable("a topic of 128 bytes; at most 127 fit"))
      }
    }
    #expect(buffer.readable.text == "before")
  }

  @Test("what was written is read, both ways", arguments: (0..<64).map { UInt64($0) })
  func roundTrip(_ seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let alphabet: [Unicode.Scalar] = [
      "a", "Z", "0", "\"", "\\", "\u{1}", "\u{2}", "\n", "é", "漢", "😀", "\u{7F}", "\u{0}",
    ]
    func text(_ random: inout SplitMix64) -> String {
      var text = ""
      for _ in 0..<random.next(below: 20) {
        text.unicodeScalars.append(alphabet[Int(random.next(below: UInt64(alphabet.count)))])
      }
      return text
    }
    for serialization in [RemotingSerialization.json, .binary] {
      let opaque = Int32(truncatingIfNeeded: random.next())
      let asked = try ReadFrame(
        serialization == .json
          ? frame(Array(#"{"code":10,"opaque":\#(opaque)}"#.utf8))
          : frame(layout(Int16(10), UInt8(1), Int16(1), opaque, Int32(0), Int32(0), Int32(0)), type: 1))
      let names: [StaticString] = ["a", "msgId", "queueId", "name of many bytes"]
      let values = names.map { _ in text(&random) }
      let number = Int64(bitPattern: random.next())
      let remark = text(&random)
      let body = text(&random)
      let code = ResponseCode.allCases[Int(random.next(below: UInt64(ResponseCode.allCases.count)))]
      let read = try ReadFrame(
        bytes { buffer in
          var frame = RemotingFrameWriter(response: code, to: asked.header, remark: remark, &buffer)
          for (name, value) in zip(names, values) { frame.field(name, value, &buffer) }
          frame.field("number", number, &buffer)
          frame.endHeader(&buffer)
          buffer.append(text: body)
          frame.end(&buffer)
        })
      #expect(read.header.serialization == serialization && read.header.code == code.rawValue)
      #expect(read.header.opaque == opaque && read.header.isResponse && !read.header.isOneWay)
      #expect((read.header.remark?.text ?? "") == remark && read.body.text == body)
      for (name, value) in zip(names, values) { #expect(read.header.fields.string(name)?.text == value) }
      #expect(try read.header.fields.requiredInt64("number") == number && read.header.fields.count == 5)
    }
  }

  @Test("members may stand in any order, be null, unknown or missing")
  func lenientMembers() throws {
    let header = try ReadFrame(
      json: #"{"x":{"y":[1]},"version":5,"remark":null,"extFields":null,"language":9,"flag":2,"code":-1}"#
    ).header!
    #expect(header.code == -1 && header.version == 5 && header.flag == 2 && header.isOneWay && !header.isResponse)
    #expect(header.remark == nil && header.fields.count == 0 && header.language == .other && header.request == nil)
    #expect(try ReadFrame(json: #"{"code":11,"language":"GO"}"#).header.language == .go)
    #expect(try ReadFrame(json: #"{"code":11,"language":"KLINGON"}"#).header.language == .other)
  }

  @Test(
    "a JSON header that cannot be read is refused, with the reason",
    arguments: [
      ("", "the text is empty, at byte 1"), ("[]", "it is not a JSON object"), ("{}", "'code' is missing"),
      (#"{"code":1"#, "the text ends too early, at byte 10"), (#"{"code":"1"}"#, "'code' is not an integer of 32 bits"),
      (#"{"code":1.0}"#, "'code' is not an integer of 32 bits"),
      (#"{"code":2147483648}"#, "'code' is not an integer of 32 bits"),
      (#"{"code":1,"opaque":9999999999}"#, "'opaque' is not an integer of 32 bits"),
      (#"{"code":1,"remark":1}"#, "'remark' is not a string"),
      (#"{"code":1,"extFields":[]}"#, "'extFields' is not an object"),
      (#"{"code":1,"extFields":{"a":{}}}"#, "a field is neither a string nor a number"),
      (#"{"code":1,"extFields":{0:"a"}}"#, "a field name in quotes was expected, at byte 24"),
      (#"{"code":1} {}"#, "there is something after the object, at byte 12"),
      (#"{"code":1,"code":2}"#, "an object has the same key twice, at byte 11"),
    ])
  func refusedJSON(_ text: String, _ reason: String) {
    #expect(failure { () throws(RemotingError) in _ = try ReadFrame(json: text) } == .malformedHeader(reason))
  }

  @Test("a header has at most 64 fields")
  func manyFields() throws {
    func header(_ count: Int) -> String {
      #"{"code":1,"extFields":{"# + (0..<count).map { "\"f\($0)\":\($0)" }.joined(separator: ",") + "}}"
    }
    #expect(try ReadFrame(json: header(64)).header.fields.int32("f63") == 63)
    #expect(
      failure { () throws(RemotingError) in _ = try ReadFrame(json: header(65)) }
        == .malformedHeader("it has more than 64 fields"))
  }

  @Test("a binary header that cannot be read is refused, with the reason")
  func refusedBinary() throws {
    let start = layout(Int16(1), UInt8(0), Int16(1), Int32(1), Int32(0))
    let cases: [([UInt8], String)] = [
      ([], "it ends too early"), (start, "it ends too early"), (start + layout(Int32(1)), "it ends too early"),
      (start + layout(Int32(-1), Int32(0)), "it ends too early"),
      (start + layout(Int32(0), Int32(1)), "it ends too early"),
      (start + layout(Int32(0), Int32(-1)), "it ends too early"),
      (start + layout(Int32(0), Int32(0), UInt8(1)), "there is something after the fields"),
      (start + layout(Int32(1), UInt8(0xFF), Int32(0)), "the remark is not UTF-8"),
      (start + layout(Int32(0), Int32(8), Int16(1), "a", Int32(1), UInt8(0x80)), "a field is not UTF-8"),
      (start + layout(Int32(0), Int32(7), Int16(1), "a", Int32(1)), "it ends too early"),
      (start + layout(Int32(0), Int32(2), Int16(-1)), "it ends too early"),
    ]
    for (header, reason) in cases {
      #expect(
        failure { () throws(RemotingError) in _ = try ReadFrame(frame(header, type: 1)) } == .malformedHeader(reason),
        "\(header)")
    }
    #expect(try ReadFrame(frame(start + layout(Int32(0), Int32(0)), type: 1)).header.code == 1)
  }

  @Test("a remark is cut between characters")
  func longRemark() throws {
    let asked = try ReadFrame(json: #"{"code":1}"#)
    let written = bytes {
      $0.appendResponse(.systemError, to: asked.header, remark: String(repeating: "漢", count: 400))
    }
    #expect(try ReadFrame(written).header.remark?.text == String(repeating: "漢", count: 341))
  }
}

@Suite("extension fields")
struct ExtFieldTests {
  private func read(fields: String) throws(RemotingError) -> ReadFrame {
    try ReadFrame(json: #"{"code":1,"extFields":\#(fields)}"#)
  }

  @Test("a number is read from a string and from a number")
  func numbers() throws {
    let text = #"{"a":"12","b":-12,"c":"9223372036854775807","d":"-9223372036854775808","e":"007"}"#
    let read = try read(fields: text)
    let fields = read.header.fields
    #expect(try [fields.int32("a"), fields.int32("b")] == [12, -12])
    #expect(try [fields.int64("c"), fields.int64("d"), fields.int64("e"), fields.int64("f")] == [.max, .min, 7, nil])
    let errors = [
      failure { () throws(RemotingError) in _ = try fields.int32("c") },
      failure { () throws(RemotingError) in _ = try fields.requiredInt32("none") },
      failure { () throws(RemotingError) in _ = try fields.requiredInt64("none") },
      failure { () throws(RemotingError) in _ = try fields.requiredString("none") },
    ]
    let missing = RemotingError.missingField("none")
    #expect(errors == [.malformedField("c", mustBe: "an integer of 32 bits"), missing, missing, missing])
  }

  @Test(
    "what is not a number is refused",
    arguments: ["", "-", "+1", " 1", "1 ", "1.0", "1e3", "0x1", "9223372036854775808"])
  func notNumbers(_ text: String) throws {
    let read = try read(fields: #"{"a":"\#(text)"}"#)
    let error = failure { () throws(RemotingError) in _ = try read.header.fields.int64("a") }
    #expect(error == .malformedField("a", mustBe: "an integer of 64 bits"))
  }

  @Test("a truth value is read as every client writes it")
  func booleans() throws {
    let text = #"{"a":"true","b":"false","c":"1","d":"0","e":true,"f":1,"g":"yes","h":null}"#
    let read = try read(fields: text)
    let fields = read.header.fields
    let values = try ["a", "b", "c", "d", "e", "f", "h"].map { (name: StaticString) throws(RemotingError) in
      try fields.bool(name)
    }
    #expect(values == [true, false, true, false, true, true, nil])
    let error = failure { () throws(RemotingError) in _ = try fields.bool("g") }
    #expect(error == .malformedField("g", mustBe: "true or false"))
  }

  @Test("an error that leaves the connection open is answered with code 1 and says what is wrong")
  func answeredErrors() throws {
    let asked = try ReadFrame(json: #"{"code":11,"opaque":5,"extFields":{"topic":"t"}}"#)
    let error = try #require(failure { () throws(RemotingError) in _ = try PullRequest(asked.header) })
    let answer = try ReadFrame(bytes { $0.appendResponse(error, to: asked.header) })
    #expect(answer.header.code == 1 && answer.header.opaque == 5)
    #expect(answer.header.remark?.text == "the field 'consumerGroup' is missing")
  }

  @Test("a send of Java clients has letters for names")
  func sendV2() throws {
    let names =
      #"{"a":"g","b":"t","c":"TBW102","d":"4","e":"2","f":"4","g":"99","h":"1","i":"K\u0001v\u0002","j":"3","k":"false","l":"16","m":"true"}"#
    for code in [310, 320] {
      let send = try SendRequest(try ReadFrame(json: #"{"code":\#(code),"extFields":\#(names)}"#).header)
      #expect(send.queueID == 2 && send.sysFlag == 4 && send.bornMs == 99 && send.flag == 1 && send.reconsumeTimes == 3)
      #expect(send.maxReconsumeTimes == 16 && send.isBatch)
    }
    let plain = try SendRequest(
      try ReadFrame(json: #"{"code":320,"extFields":{"a":"g","b":"t","e":0,"f":0,"g":0,"h":0}}"#).header)
    #expect(plain.isBatch && plain.properties.text.isEmpty && plain.maxReconsumeTimes == nil)
  }

  @Test("each code has a name of its own")
  func requestNames() {
    #expect(Set(RequestCode.allCases.map { "\($0.name)" }).count == RequestCode.allCases.count)
    #expect(RequestCode(rawValue: 310)?.name.description == "SEND_MESSAGE_V2" && RequestCode(rawValue: 5000) == nil)
  }
}
