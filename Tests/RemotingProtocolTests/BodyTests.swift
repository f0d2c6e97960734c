// JSON bodies.

import LineProtocol
import Primitives
import Testing

@testable import RemotingProtocol

@Suite("JSON bodies")
struct BodyTests {
  @Test("a route, byte for byte")
  func route() {
    let route = RouteInfo(
      brokers: [
        .init(name: "a", cluster: "c", addresses: [(0, "127.0.0.1:10911"), (1, "127.0.0.2:10911")]),
        .init(name: "b\"", cluster: "c", addresses: []),
      ],
      queues: [.init(broker: "a", permission: [.read, .write], readCount: 4, writeCount: 8)])
    #expect(
      String(decoding: bytes { $0.append(route) }, as: UTF8.self)
        == #"{"brokerDatas":[{"brokerAddrs":{"0":"127.0.0.1:10911","1":"127.0.0.2:10911"},"brokerName":"a","cluster":"c"},"#
        + #"{"brokerAddrs":{},"brokerName":"b\"","cluster":"c"}],"filterServerTable":{},"#
        + #""queueDatas":[{"brokerName":"a","perm":6,"readQueueNums":4,"writeQueueNums":8,"topicSynFlag":0}]}"#)
  }

  @Test("lists, byte for byte")
  func lists() {
    #expect(bytes { $0.appendConsumerIDs(["1@a", "é"]) } == Array(#"{"consumerIdList":["1@a","é"]}"#.utf8))
    #expect(bytes { $0.appendConsumerIDs([]) } == Array(#"{"consumerIdList":[]}"#.utf8))
    #expect(bytes { $0.appendTopicList(["a", "%RETRY%g"]) } == Array(#"{"topicList":["a","%RETRY%g"]}"#.utf8))
    let queue = QueueName(topic: "t", broker: "b", queueID: 3)
    #expect(
      bytes { $0.appendLockedQueues([queue]) }
        == Array(#"{"lockOKMQSet":[{"brokerName":"b","queueId":3,"topic":"t"}]}"#.utf8))
  }

  private func heartbeat(_ text: String) throws(RemotingError) -> Heartbeat {
    let reader = JSONReader()
    return try text.withBytes { text throws(RemotingError) in try Heartbeat(text, reader) }
  }

  @Test("a heartbeat of the Java client")
  func javaHeartbeat() throws {
    let read = try heartbeat(
      #"{"clientID":"10.0.0.1@1#2","consumerDataSet":[{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","#
        + #""consumeType":"CONSUME_PASSIVELY","groupName":"g","messageModel":"BROADCASTING","subscriptionDataSet":["#
        + #"{"classFilterMode":false,"codeSet":[97],"expressionType":"SQL92","subString":"a > 1","subVersion":17,"#
        + #""tagsSet":["a"],"topic":"t"}],"unitMode":false}],"heartbeatFingerprint":0,"producerDataSet":["#
        + #"{"groupName":"p"},{"groupName":"CLIENT_INNER_PRODUCER"}],"withoutSub":false}"#)
    #expect(read.clientID == "10.0.0.1@1#2" && read.producerGroups == ["p", "CLIENT_INNER_PRODUCER"])
    #expect(
      read.consumers == [
        Heartbeat.Consumer(
          group: "g", consumeType: .passively, messageModel: .broadcasting,
          subscriptions: [.init(topic: "t", expression: "a > 1", expressionType: "SQL92", version: 17)])
      ])
  }

  @Test(
    "a heartbeat that cannot be read is refused, with the reason",
    arguments: [
      ("", "the text is empty, at byte 1"), ("[]", "it is not a JSON object"), ("{}", "'clientID' is missing"),
      (#"{"clientID":1}"#, "'clientID' is not a string"), (#"{"clientID":null}"#, "'clientID' is missing"),
      (#"{"clientID":"a","producerDataSet":{}}"#, "'producerDataSet' is not an array"),
      (#"{"clientID":"a","producerDataSet":[1]}"#, "'producerDataSet' has something in it that is not an object"),
      (#"{"clientID":"a","consumerDataSet":[{}]}"#, "'groupName' is missing"),
      (
        #"{"clientID":"a","consumerDataSet":[{"groupName":"g","messageModel":"ALL"}]}"#,
        "'messageModel' has a value that is not known"
      ),
      (
        #"{"clientID":"a","consumerDataSet":[{"groupName":"g","messageModel":7}]}"#,
        "'messageModel' has a value that is not known"
      ),
      (
        #"{"clientID":"a","consumerDataSet":[{"groupName":"g","subscriptionDataSet":[{"topic":"t","subString":"*","subVersion":"x"}]}]}"#,
        "'subVersion' is not an integer of 64 bits"
      ),
    ])
  func refusedHeartbeats(_ text: String, _ reason: String) {
    #expect(failure { () throws(RemotingError) in _ = try heartbeat(text) } == .malformedBody(reason))
  }

  @Test("a queue to lock has a number of 32 bits")
  func refusedLock() {
    let text = #"{"consumerGroup":"g","clientId":"c","mqSet":[{"topic":"t","brokerName":"b","queueId":4294967296}]}"#
    let reader = JSONReader()
    let error = failure { () throws(RemotingError) in
      try text.withBytes { text throws(RemotingError) in _ = try QueueLockRequest(text, reader) }
    }
    #expect(error == .malformedBody("'queueId' is not an integer of 32 bits"))
  }
}
