// The method table and every method's fields beside the specification's table.

import Primitives
import SeededRandom
import Testing

@testable import AMQPProtocol

@Suite("methods")
struct MethodTests {
  // Every struct of fields; a method that is not here has none, or only reserved ones.
  nonisolated(unsafe) static let shapes: [any MethodFields.Type] = [
    ConnectionStart.self, ConnectionStartOk.self, ConnectionSecure.self, ConnectionSecureOk.self, ConnectionTune.self,
    ConnectionTuneOk.self, ConnectionOpen.self, ConnectionClose.self, ConnectionBlocked.self,
    ConnectionUpdateSecret.self, ChannelFlow.self, ChannelFlowOk.self, ChannelClose.self, ExchangeDeclare.self,
    ExchangeDelete.self, ExchangeBind.self, ExchangeUnbind.self, QueueDeclare.self, QueueDeclareOk.self,
    QueueBind.self, QueueUnbind.self, QueuePurge.self, QueuePurgeOk.self, QueueDelete.self, QueueDeleteOk.self,
    BasicQos.self, BasicConsume.self, BasicConsumeOk.self, BasicCancel.self, BasicCancelOk.self, BasicPublish.self,
    BasicReturn.self, BasicDeliver.self, BasicGet.self, BasicGetOk.self, BasicAck.self, BasicReject.self,
    BasicNack.self, BasicRecover.self, BasicRecoverAsync.self, ConfirmSelect.self,
  ]

  static func shape(of method: Method) -> (any MethodFields.Type)? { shapes.first { $0.method == method } }

  /// The frame of a method again, from what was decoded.
  static func encodedAgain(_ frame: MethodFrame, channel: UInt16) throws(AMQPFault) -> [UInt8] {
    guard let shape = shape(of: frame.method) else {
      try frame.checkNoFields()
      return written { $0.append(frame.method, channel: channel) }
    }
    func encodedAgain<Fields: MethodFields>(_: Fields.Type) throws(AMQPFault) -> [UInt8] {
      let fields = try frame.decode(Fields.self)
      return written { $0.append(fields, channel: channel) }
    }
    return try encodedAgain(shape)
  }

  @Test("the table is the specification's")
  func table() throws {
    #expect(SpecifiedMethod.all.count == Method.allCases.count)
    for specified in SpecifiedMethod.all {
      let method = try #require(Method(classID: specified.classID, methodID: specified.methodID))
      #expect(method.name == specified.name)
      #expect((method.classID, method.methodID) == (specified.classID, specified.methodID))
      #expect(method.isSynchronous == specified.isSynchronous, "\(method)")
      #expect(method.carriesContent == specified.carriesContent, "\(method)")
      #expect((Self.shape(of: method) != nil) == specified.hasFields, "\(method)")
    }
    #expect(Method(classID: 9, methodID: 1010) == nil)
    #expect(Method(classID: 60, methodID: 200) == nil)
  }

  @Test("fields made by the specification's layout decode, and encode to the same bytes", arguments: seeds(40))
  func layouts(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let memory = GuardedMemory()
    for specified in SpecifiedMethod.all {
      let fields = random.fields(specified.fields)
      let channel = UInt16(truncatingIfNeeded: random.next())
      let head = [specified.classID, specified.methodID].flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
      let frame = try MethodFrame(memory.copy(head + fields))
      let again = try Self.encodedAgain(frame, channel: channel)
      #expect(payload(again) == head + fields, "\(specified.name), \(replay(seed, "MethodTests"))")
      #expect(Array(again[0..<3]) == [1, UInt8(channel >> 8), UInt8(channel & 255)])
      if !fields.isEmpty {
        let cutShort = try MethodFrame(memory.copy((head + fields).dropLast()))
        #expect(fault { () throws(AMQPFault) in _ = try Self.encodedAgain(cutShort, channel: 1) }?.code == .syntaxError)
      }
      let tooLong = try MethodFrame(memory.copy(head + fields + [0]))
      #expect(fault { () throws(AMQPFault) in _ = try Self.encodedAgain(tooLong, channel: 1) }?.code == .syntaxError)
    }
  }

  @Test("a method that is cut or unknown is refused")
  func refused() {
    func code(_ hex: String) -> ReplyCode? {
      bytes(hex: hex).withBytes { bytes in fault { () throws(AMQPFault) in _ = try MethodFrame(bytes) }?.code }
    }
    #expect(code("003c00") == .frameError)
    #expect(code("003c0028") == nil)
    #expect(code("003c00c8") == .notImplemented)
    #expect(code("ffffffff") == .notImplemented)
  }

  @Test("a name that is not UTF-8 is refused")
  func names() throws {
    try bytes(hex: "0032001e 0000 02c328 00").withBytes { bytes in
      let frame = try MethodFrame(bytes)
      let refusal = fault { () throws(AMQPFault) in _ = try frame.decode(QueuePurge.self) }
      #expect(refusal == AMQPFault(.syntaxError, "the fields of queue.purge are malformed", method: .queuePurge))
    }
  }

  @Test("closing says why, on the channel or on the connection")
  func closing() {
    let missing = AMQPFault(.notFound, "no queue 'q' in vhost '/'", method: .queueBind)
    #expect(written { $0.append(closeFor: missing, channel: 4) } == ClientBytes.all["pika channel.close"])
    let broken = AMQPFault(.frameError, "bad")
    #expect(
      payload(written { $0.append(closeFor: broken, channel: 4) })
        == bytes(hex: "000a0032 01f5") + [17] + Array("FRAME_ERROR - bad".utf8) + [0, 0, 0, 0])
    #expect(written { $0.append(closeFor: missing, channel: 0) }[0..<3] == [1, 0, 0])
  }
}

@Suite("reply codes")
struct ReplyCodeTests {
  @Test("names and what they close are the specification's")
  func catalogue() {
    let catalogue: [(Int, String, Bool)] = [
      (200, "REPLY_SUCCESS", false), (311, "CONTENT_TOO_LARGE", false), (312, "NO_ROUTE", false),
      (313, "NO_CONSUMERS", false), (320, "CONNECTION_FORCED", true), (402, "INVALID_PATH", true),
      (403, "ACCESS_REFUSED", false), (404, "NOT_FOUND", false), (405, "RESOURCE_LOCKED", false),
      (406, "PRECONDITION_FAILED", false), (501, "FRAME_ERROR", true), (502, "SYNTAX_ERROR", true),
      (503, "COMMAND_INVALID", true), (504, "CHANNEL_ERROR", true), (505, "UNEXPECTED_FRAME", true),
      (506, "RESOURCE_ERROR", true), (530, "NOT_ALLOWED", true), (540, "NOT_IMPLEMENTED", true),
      (541, "INTERNAL_ERROR", true),
    ]
    #expect(ReplyCode.allCases.map { Int($0.rawValue) } == catalogue.map(\.0))
    #expect(ReplyCode.allCases.map(\.name) == catalogue.map(\.1))
    #expect(ReplyCode.allCases.map(\.closesConnection) == catalogue.map(\.2))
  }

  @Test("a long reply text is cut between characters", arguments: 0..<4)
  func longTexts(shift: Int) {
    let fault = AMQPFault(.notFound, String(repeating: "a", count: shift) + String(repeating: "→", count: 200))
    let text = fault.replyText
    #expect((250...255).contains(text.utf8.count))
    #expect(text.hasPrefix("NOT_FOUND - ") && text.hasSuffix("→..."))
    let exact = AMQPFault(.notFound, String(repeating: "a", count: 255 - 12))
    #expect(exact.replyText.utf8.count == 255 && exact.replyText.hasSuffix("aa"))
  }
}
