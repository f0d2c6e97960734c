// The codec against what the C++ client really sends and was answered with.

import LineProtocol
import Primitives
import Testing

@testable import RemotingProtocol

@Suite("the captured session of the C++ client")
struct CapturedSessionTests {
  @Test("each frame is decoded and encoded to the same bytes")
  func everyFrameIsEncodedToTheSameBytes() throws {
    #expect(CapturedSession.frames.count == 135)
    for captured in CapturedSession.frames {
      let read = try ReadFrame(captured.bytes)
      let encoded = bytes { buffer in
        var frame = RemotingFrameWriter(copyOf: read.header, namesSerialization: !captured.isFromClient, &buffer)
        for field in read.header.fields { frame.field(copyOf: field, &buffer) }
        frame.closeHeader(&buffer)
        // The JSON library of the C++ client ends what it writes with a line feed.
        if captured.isFromClient { buffer.append(byte: 0x0A) }
        frame.measureHeader(&buffer)
        buffer.append(read.body)
        frame.end(&buffer)
      }
      #expect(encoded == captured.bytes, "line \(captured.line)")
    }
  }

  @Test("frames come out alike, in reads of one byte, of a few and all at once", arguments: [1, 3, 64, 1 << 20])
  func framesDoNotDependOnReads(_ readBytes: Int) throws {
    var stream = CapturedSession.frames.flatMap(\.bytes)[...]
    var reader = RemotingFrameReader()
    var frames: [[UInt8]] = []
    while !stream.isEmpty {
      let piece = Array(stream.prefix(readBytes))
      stream = stream.dropFirst(readBytes)
      piece.withBytes { reader.append($0) }
      while let next = try reader.next() {
        frames.append(frame(Array(next.header), body: Array(next.body), type: next.serialization.rawValue))
      }
    }
    #expect(frames == CapturedSession.frames.map(\.bytes))
    #expect(reader.bufferedBytes == 0)
  }

  @Test("the client sends what the table of codes names, with the language and version it has")
  func codesAreKnown() throws {
    var counts: [RequestCode: Int] = [:]
    for captured in CapturedSession.frames where captured.isFromClient {
      let header = try ReadFrame(captured.bytes).header!
      #expect(header.language == .cpp && header.version == 63 && header.flag == 0)
      counts[try #require(header.request), default: 0] += 1
    }
    #expect(
      counts == [
        .sendMessage: 6, .pullMessage: 16, .queryConsumerOffset: 8, .updateConsumerOffset: 6, .getMaxOffset: 4,
        .heartbeat: 5, .unregisterClient: 4, .consumerSendMessageBack: 3, .getConsumerListByGroup: 6,
        .lockBatchQueues: 4,
        .unlockBatchQueues: 1, .getRouteInfoByTopic: 8,
      ])
  }

  @Test("sends are read with their properties, compressed and batched ones too")
  func sends() throws {
    let frames = CapturedSession.requests(.sendMessage)
    let first = try ReadFrame(frames[0])
    let delayed = try SendRequest(first.header)
    #expect(
      delayed.group.text == "orders-producer" && delayed.topic.text == "orders" && first.body.text == #"{"order":1}"#)
    #expect(delayed.queueID == 0 && delayed.sysFlag == 0 && delayed.flag == 0 && delayed.reconsumeTimes == 0)
    #expect(delayed.maxReconsumeTimes == nil && !delayed.isBatch && delayed.bornMs > 1_500_000_000_000)
    #expect(delayed.properties["DELAY"]?.text == "3" && delayed.properties["KEYS"]?.text == "k1 k0")
    #expect(delayed.properties["TAGS"]?.text == "paid" && delayed.properties["colour"]?.text == #"grün "1" \ /"#)
    #expect(delayed.properties["WAIT"]?.text == "true" && delayed.properties["UNIQ_KEY"]?.count == 32)

    let compressed = try ReadFrame(frames[4])
    #expect(try SendRequest(compressed.header).sysFlag == 1 && compressed.body.count < 100)

    let last = try ReadFrame(frames[5])
    #expect(try SendRequest(last.header).isBatch)
    var batch = MessageBatch(last.body)
    for number in 0..<3 {
      let message = try #require(try batch.next())
      #expect(message.body.text == "batch \(number)" && message.flag == 0)
      #expect(message.properties["KEYS"]?.text == "b\(number)" && message.properties["TAGS"]?.text == "lost")
    }
    #expect(try batch.next() == nil)
  }

  @Test("pulls are read: of a push consumer, with and without a commit, and of a pull consumer")
  func pulls() throws {
    let reads = try CapturedSession.requests(.pullMessage).map { bytes throws(RemotingError) in try ReadFrame(bytes) }
    let pulls = try reads.map { read throws(RemotingError) in try PullRequest(read.header) }
    #expect(pulls[0].topic.text == "%RETRY%orders-group" && pulls[0].subscription?.text == "*" && pulls[0].waits)
    let held = try #require(pulls.first { $0.topic.text == "orders" })
    #expect(held.group.text == "orders-group" && held.messagesMax == 32 && held.waits && held.waitMs == 15_000)
    #expect(!held.commits && held.commitOffset == -1 && held.subscription?.text == "paid || shipped")
    #expect(held.subscriptionVersion > 1_500_000_000_000 && held.expressionType == nil)
    let pulled = try #require(pulls.last)
    #expect(pulled.group.text == "pull-group" && !pulled.waits && !pulled.commits && pulled.subscriptionVersion == 0)
  }

  @Test("heartbeats and locks are read")
  func bodies() throws {
    let json = JSONReader()
    let heartbeats = CapturedSession.requests(.heartbeat)
    let read = try ReadFrame(heartbeats[2])
    let heartbeat = try Heartbeat(read.body, json)
    #expect(heartbeat.clientID.hasSuffix("-127.0.0.1@DEFAULT") && heartbeat.producerGroups == ["orders-producer"])
    let consumer = try #require(heartbeat.consumers.first)
    #expect(heartbeat.consumers.count == 1 && consumer.group == "orders-group")
    #expect(consumer.consumeType == .passively && consumer.messageModel == .clustering)
    #expect(consumer.subscriptions.map(\.topic) == ["%RETRY%orders-group", "orders"])
    #expect(consumer.subscriptions.map(\.expression) == ["*", "paid || shipped"])
    #expect(consumer.subscriptions.allSatisfy { $0.version > 1_500_000_000_000 && $0.expressionType == "TAG" })

    let first = try ReadFrame(heartbeats[0])
    #expect(try Heartbeat(first.body, json).producerGroups == [])

    let lock = try ReadFrame(CapturedSession.requests(.lockBatchQueues)[0])
    let wanted = try QueueLockRequest(lock.body, json)
    #expect(wanted.group == "audit-group" && wanted.clientID == heartbeat.clientID)
    #expect(wanted.queues == [QueueName(topic: "%RETRY%audit-group", broker: "escapement", queueID: 0)])
    let unlock = try ReadFrame(CapturedSession.requests(.unlockBatchQueues)[0])
    #expect(try QueueLockRequest(unlock.body, json).queues.count == 3)
  }

  @Test("our writers make the very responses that the client took")
  func responses() throws {
    let json = JSONReader()
    let codes: [RequestCode] = [
      .getRouteInfoByTopic, .getConsumerListByGroup, .lockBatchQueues, .queryConsumerOffset, .heartbeat,
    ]
    #expect(codes.map { CapturedSession.exchanges($0).count } == [8, 6, 4, 8, 5])
    for (request, response) in CapturedSession.exchanges(.getRouteInfoByTopic) {
      let taken = try ReadFrame(response)
      let route = RouteInfo(
        brokers: [.init(name: "escapement", cluster: "DefaultCluster", addresses: [(0, address(in: taken.body.text))])],
        queues: [.init(broker: "escapement", permission: [.read, .write], readCount: 2, writeCount: 2)])
      #expect(try answer(to: request, body: { $0.append(route) }) == response)
    }
    for (request, response) in CapturedSession.exchanges(.getConsumerListByGroup) {
      let body = try ReadFrame(response).body.text
      let ids = body.split(separator: "\"").filter { $0.hasSuffix("@DEFAULT") }.map(String.init)
      #expect(try answer(to: request, body: { $0.appendConsumerIDs(ids) }) == response)
    }
    for (request, response) in CapturedSession.exchanges(.lockBatchQueues) {
      let wanted = try QueueLockRequest(try ReadFrame(request).body, json)
      #expect(try answer(to: request, body: { $0.appendLockedQueues(wanted.queues) }) == response)
    }
    for (request, response) in CapturedSession.exchanges(.queryConsumerOffset) {
      let asked = try ReadFrame(request)
      let remark = "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first"
      guard try ReadFrame(response).header.code != 0 else { continue }
      #expect(bytes { $0.appendResponse(.queryNotFound, to: asked.header, remark: remark) } == response)
    }
    for (request, response) in CapturedSession.exchanges(.heartbeat) {
      let asked = try ReadFrame(request)
      #expect(bytes { $0.appendResponse(.success, to: asked.header) } == response)
    }
  }

  @Test("the notice that made the client divide its queues anew is what our writer makes")
  func notice() throws {
    let notices = CapturedSession.frames.filter { captured in
      (try? ReadFrame(captured.bytes))?.header.request == .notifyConsumerIDsChanged
    }
    #expect(notices.count == 1)
    let opaque = try ReadFrame(notices[0].bytes).header.opaque
    let written = bytes { $0.appendConsumerIDsChanged(group: "orders-group", opaque: opaque, serialization: .json) }
    #expect(written == notices[0].bytes)
  }

  @Test("the messages that the client took are what our writer makes of them")
  func pulledMessages() throws {
    var count = 0
    for (request, response) in CapturedSession.exchanges(.pullMessage) {
      let asked = try ReadFrame(request)
      let taken = try ReadFrame(response)
      guard taken.header.code == 0 else { continue }
      var reader = PulledMessageReader(taken.body)
      var messages: [PulledMessage] = []
      while let message = try reader.next() { messages.append(message) }
      count += messages.count
      let encoded = try bytes { buffer throws(RemotingError) in
        var frame = RemotingFrameWriter(response: .success, to: asked.header, &buffer)
        for field in taken.header.fields { frame.field(copyOf: field, &buffer) }
        frame.endHeader(&buffer)
        for message in messages { try buffer.append(message) }
        frame.end(&buffer)
      }
      #expect(encoded == response)
    }
    #expect(count > 10)
  }

  private func address(in route: String) -> String {
    String(route.split(separator: "\"").first { $0.hasPrefix("127.0.0.1:") }!)
  }

  private func answer(to request: [UInt8], body: (inout ByteBuffer) -> Void) throws -> [UInt8] {
    let asked = try ReadFrame(request)
    return bytes { buffer in
      var frame = RemotingFrameWriter(response: .success, to: asked.header, &buffer)
      frame.endHeader(&buffer)
      body(&buffer)
      frame.end(&buffer)
    }
  }
}
