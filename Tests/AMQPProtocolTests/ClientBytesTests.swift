// The bytes of real clients' encoders: read as what they are, and written by us to the same bytes.

import Primitives
import Testing

@testable import AMQPProtocol

@Suite("real clients")
struct ClientBytesTests {
  private func method<Fields: MethodFields>(_ name: String, _: Fields.Type, _ check: (Fields) throws -> Void) throws {
    try payload(ClientBytes.all[name]!).withBytes { bytes in try check(MethodFrame(bytes).decode(Fields.self)) }
  }

  @Test("a login reads as what it is")
  func login() throws {
    #expect(ClientBytes.all["pika protocol header"] == bytesOfHeader)
    try method("pika connection.start-ok", ConnectionStartOk.self) { start in
      #expect(start.clientProperties["product"]?.string?.text == "Pika Python Client Library")
      #expect(start.clientProperties["capabilities"]?.table?["basic.nack"]?.boolean == true)
      #expect(start.mechanism.text == "PLAIN" && start.locale.text == "en_US")
      let credentials = try Credentials(plain: start.response)
      #expect((credentials.user.text, credentials.password.text) == ("guest", "guest"))
    }
    try method("pika connection.tune-ok", ConnectionTuneOk.self) { tune in
      #expect((tune.channelMax, tune.frameBytesMax, tune.heartbeatSeconds) == (2047, 131_072, 60))
    }
    try method("pika connection.open", ConnectionOpen.self) { #expect($0.virtualHost.text == "/") }
  }

  @Test("declarations and consumers read as what they are")
  func declarations() throws {
    try method("pika exchange.declare", ExchangeDeclare.self) { declare in
      #expect((declare.exchange.text, declare.type.text) == ("delays", "x-delayed-message"))
      #expect((declare.passive, declare.durable, declare.noWait) == (false, true, false))
      #expect(declare.arguments["x-delayed-type"]?.string?.text == "topic")
    }
    try method("pika queue.declare", QueueDeclare.self) { declare in
      #expect(declare.queue.text == "orders.délai")
      #expect((declare.durable, declare.exclusive, declare.autoDelete) == (true, false, false))
      #expect(declare.arguments["x-message-ttl"]?.integer == 60000)
      #expect(declare.arguments["x-expires"]?.integer == 1 << 32)
      #expect(declare.arguments["x-dead-letter-exchange"]?.string?.isEmpty == true)
      #expect(declare.arguments["x-single-active-consumer"]?.boolean == true)
    }
    try method("pika queue.bind", QueueBind.self) { bind in
      #expect((bind.queue.text, bind.exchange.text, bind.routingKey.text) == ("q", "amq.headers", "a.#"))
      #expect(
        bind.arguments.decoded == [
          FieldEntry("x-match", .text("any")), FieldEntry("n", .int32(-1)), FieldEntry("none", .void),
          FieldEntry("list", .array([.int32(1), .text("two"), .table([FieldEntry("three", .int32(3))])])),
        ])
    }
    try method("pika basic.consume", BasicConsume.self) { consume in
      #expect((consume.queue.text, consume.consumerTag.text) == ("q", "ctag1.4f"))
      #expect((consume.noLocal, consume.noAck, consume.exclusive, consume.noWait) == (false, false, true, false))
      #expect(consume.arguments["x-priority"]?.integer == 5)
    }
    try method("pika basic.qos", BasicQos.self) { #expect(($0.prefetchCount, $0.global) == (250, false)) }
    try method("pika basic.nack", BasicNack.self) {
      #expect(($0.deliveryTag, $0.multiple, $0.requeue) == (7, false, true))
    }
    try method("pika basic.ack", BasicAck.self) { #expect(($0.deliveryTag, $0.multiple) == (UInt64(Int64.max), true)) }
  }

  @Test("a message reads as what it is")
  func message() throws {
    try method("pika basic.publish", BasicPublish.self) { publish in
      #expect((publish.exchange.text, publish.routingKey.text) == ("ex", "r.k"))
      #expect((publish.mandatory, publish.immediate) == (true, false))
    }
    try payload(ClientBytes.all["pika content header"]!).withBytes { bytes in
      let header = try ContentHeader(bytes)
      #expect(header.bodyBytes == 11)
      let read = try BasicProperties(reading: header.properties)
      #expect((read.contentType?.text, read.contentEncoding?.text) == ("application/json", "utf-8"))
      #expect((read.deliveryMode, read.priority, read.timestamp) == (2, 9, 1_700_000_000))
      #expect((read.correlationID?.text, read.replyTo?.text) == ("c-1", "amq.rabbitmq.reply-to"))
      #expect((read.expiration?.text, read.messageID?.text) == ("60000", "m-1"))
      #expect((read.type?.text, read.userID?.text) == ("order.created", "guest"))
      #expect((read.appID?.text, read.clusterID?.text) == ("shop", ""))
      #expect(
        read.headers?.decoded == [
          FieldEntry("x-delay", .int32(5000)), FieldEntry("when", .timestamp(1_704_164_645)),
          FieldEntry("price", .decimal(scale: 1, unscaled: -125)), FieldEntry("flag", .boolean(false)),
          FieldEntry("raw", .bytes([0, 255])), FieldEntry("big", .int64(1 << 40)),
        ])
    }
    try payload(ClientBytes.all["pika content header, delivery mode alone"]!).withBytes { bytes in
      let properties = try BasicProperties(reading: ContentHeader(bytes).properties)
      #expect(properties.deliveryMode == 1)
    }
    try payload(ClientBytes.all["pika content header, nothing"]!).withBytes { bytes in
      let header = try ContentHeader(bytes)
      #expect(header.bodyBytes == 0 && Array(header.properties) == [0, 0])
    }
  }

  @Test("tables of other clients read as what they are")
  func tables() {
    Array(ClientBytes.all["py-amqp table"]![4...]).withBytes { bytes in
      let table = FieldTable(bytes)
      #expect(table.isWellFormed && table["l"]?.integer == -(1 << 40) && table["l"]?.type == .int64Capital)
      #expect(table["f"]?.double == 1.5 && table["n"]?.type == .void && table["b"]?.boolean == true)
      #expect(table["d"].flatMap(FieldValue.init) == .decimal(scale: 2, unscaled: 314))
      #expect(table["a"].flatMap(FieldValue.init) == .array([.int32(1), .text("x"), .array([.int32(2)])]))
    }
    Array(ClientBytes.all["pamqp table"]![4...]).withBytes { bytes in
      let table = FieldTable(bytes)
      #expect(table.isWellFormed && table["bytearray"].flatMap(FieldValue.init) == .bytes([1, 2]))
      #expect(table["array"]?.array?.map(\.value.integer) == [1, 40000, 1 << 33])
      #expect((table["uint"]?.integer, table["ushort"]?.integer) == (3_000_000_000, 40000))
      #expect((table["byte"]?.integer, table["float"]?.double) == (1, 3.25))
      #expect((table["int-max"]?.integer, table["int-min"]?.integer) == (2_147_483_647, -2_147_483_648))
    }
  }

  private func check(_ name: String, channel: UInt16 = 1, _ fields: some MethodFields) {
    #expect(written { $0.append(fields, channel: channel) } == ClientBytes.all[name], "\(name)")
  }

  @Test("what we write is what the client's encoder writes")
  func encoders() {
    let (q, e, k, tag) = (lasting("q"), lasting("e"), lasting("k"), lasting("tag"))
    let capabilities = FieldEntry("capabilities", .table([FieldEntry("basic.nack", .boolean(true))]))
    let server = FieldTableTests.encoded([FieldEntry("product", .text("Escapement")), capabilities])
    check(
      "pika connection.start", channel: 0,
      ConnectionStart {
        ($0.versionMajor, $0.versionMinor) = (0, 9)
        $0.serverProperties = FieldTable(lasting(server))
        $0.mechanisms = lasting("PLAIN AMQPLAIN")
        $0.locales = lasting("en_US")
      })
    check(
      "pika connection.tune", channel: 0,
      ConnectionTune { ($0.channelMax, $0.frameBytesMax, $0.heartbeatSeconds) = (2047, 131_072, 60) })
    check(
      "pika connection.update-secret", channel: 0,
      ConnectionUpdateSecret { ($0.newSecret, $0.reason) = (lasting("token"), lasting("renewal")) })
    check("pika connection.blocked", channel: 0, ConnectionBlocked { $0.reason = lasting("low on disk") })
    check(
      "pika connection.close", channel: 0,
      ConnectionClose { ($0.replyCode, $0.replyText) = (200, lasting("Normal shutdown")) })
    check("pika channel.flow-ok", channel: 4, ChannelFlowOk { $0.active = true })
    check("pika exchange.delete", ExchangeDelete { ($0.exchange, $0.ifUnused) = (e, true) })
    let (to, from, key) = (lasting("to"), lasting("from"), lasting("key"))
    check(
      "pika exchange.bind",
      ExchangeBind { ($0.destination, $0.source, $0.routingKey, $0.noWait) = (to, from, key, true) })
    check(
      "pika exchange.unbind", ExchangeUnbind { ($0.destination, $0.source, $0.routingKey) = (to, from, key) })
    check(
      "pika queue.declare-ok", QueueDeclareOk { ($0.queue, $0.messageCount, $0.consumerCount) = (q, 3, 2) })
    let arguments = FieldTable(lasting(FieldTableTests.encoded([FieldEntry("a", .int32(1))])))
    check(
      "pika queue.unbind",
      QueueUnbind { ($0.queue, $0.exchange, $0.routingKey, $0.arguments) = (q, e, k, arguments) })
    check("pika queue.purge", QueuePurge { ($0.queue, $0.noWait) = (q, true) })
    check("pika queue.delete", QueueDelete { ($0.queue, $0.ifEmpty) = (q, true) })
    check("pika queue.delete-ok", QueueDeleteOk { $0.messageCount = 7 })
    check("pika confirm.select", ConfirmSelect())
    check("pika basic.consume-ok", BasicConsumeOk { $0.consumerTag = tag })
    check("pika basic.cancel", BasicCancel { ($0.consumerTag, $0.noWait) = (tag, true) })
    check(
      "pika basic.return",
      BasicReturn {
        ($0.replyCode, $0.replyText) = (ReplyCode.noRoute.rawValue, lasting(ReplyCode.noRoute.name))
        ($0.exchange, $0.routingKey) = (e, k)
      })
    check("pika basic.get", BasicGet { ($0.queue, $0.noAck) = (q, true) })
    check(
      "pika basic.get-ok",
      BasicGetOk {
        ($0.deliveryTag, $0.redelivered, $0.messageCount) = (9, true, 5)
        ($0.exchange, $0.routingKey) = (e, k)
      })
    check(
      "pika basic.deliver",
      BasicDeliver {
        ($0.consumerTag, $0.deliveryTag, $0.redelivered) = (lasting("ctag1.4f"), 42, true)
        ($0.exchange, $0.routingKey) = (lasting("ex"), lasting("r.k"))
      })
    check("pika basic.reject", BasicReject { ($0.deliveryTag, $0.requeue) = (8, true) })
    check("pika basic.recover", BasicRecover { $0.requeue = true })
    #expect(written { $0.append(.basicGetEmpty, channel: 1) } == ClientBytes.all["pika basic.get-empty"])
    #expect(written { $0.append(.channelOpenOk, channel: 1) } == ClientBytes.all["pika channel.open-ok"])
    #expect(written { $0.append(.connectionOpenOk, channel: 0) } == ClientBytes.all["pika connection.open-ok"])
    #expect(written { $0.append(.txCommit, channel: 3) } == ClientBytes.all["pika tx.commit"])
    #expect(written { $0.append(.channelOpen, channel: 1) } == ClientBytes.all["pika channel.open"])
    #expect(written { $0.appendHeartbeat() } == ClientBytes.all["pika heartbeat"])
  }
}
