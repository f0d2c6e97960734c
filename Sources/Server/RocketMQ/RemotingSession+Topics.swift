// Routes, topics, and what tools ask about them and about groups.

import Broker
import LineProtocol
import Primitives
import RemotingProtocol
import RocketMQFrontEnd

extension RemotingSession {
  func route(_ header: RemotingHeader) throws(WireStop) {
    let name = try text(header, "topic")
    try frontEnd.requireTopicName(name)
    guard frontEnd.isTopicKnown(name) else {
      let shown = String(decoding: name, as: UTF8.self)
      throw .refused(.topicNotExist, "there is no topic '\(shown)', and topics are not made on use here")
    }
    let broker = RouteInfo.Broker(
      name: frontEnd.wireSettings.brokerName, cluster: WireSettings.clusterName,
      addresses: [(number: 0, address: frontEnd.wireSettings.address)])
    let queues = RouteInfo.Queues(
      broker: frontEnd.wireSettings.brokerName, permission: [.read, .write], readCount: frontEnd.readQueues(of: name),
      writeCount: frontEnd.writeQueues(of: name))
    answer(header) { $0.append(RouteInfo(brokers: [broker], queues: [queues])) }
  }

  func createTopic(_ header: RemotingHeader) throws(WireStop) {
    let name = try text(header, "topic")
    let queues = try read { () throws(RemotingError) in try header.fields.int32("writeQueueNums") }
    output.hold(until: try frontEnd.createTopic(name, queues: queues ?? Int32(frontEnd.wireSettings.queues)))
    answer(header)
  }

  func deleteTopic(_ header: RemotingHeader) throws(WireStop) {
    output.hold(until: try frontEnd.deleteTopic(try text(header, "topic")))
    answer(header)
  }

  func listTopics(_ header: RemotingHeader) {
    answer(header) { $0.appendTopicList(frontEnd.wireTopics.map(\.name)) }
  }

  func describeTopic(_ header: RemotingHeader) throws(WireStop) {
    let name = try text(header, "topic")
    let topic = try existingTopic(name)
    let (reads, writes) = (frontEnd.readQueues(of: name), frontEnd.writeQueues(of: name))
    answer(header) { body in
      body.append("{\"order\":false,\"perm\":6,\"readQueueNums\":")
      body.appendInteger(Int64(reads))
      body.append(",\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":")
      body.appendJSONString(topic.name)
      body.append(",\"topicSysFlag\":0,\"writeQueueNums\":")
      body.appendInteger(Int64(writes))
      body.append("}")
    }
  }

  func describeCluster(_ header: RemotingHeader) {
    answer(header) { body in
      body.append("{\"brokerAddrTable\":{\"")
      body.append(text: frontEnd.wireSettings.brokerName)
      body.append("\":{\"brokerAddrs\":{\"0\":")
      body.appendJSONString(frontEnd.wireSettings.address)
      body.append("},\"brokerName\":\"")
      body.append(text: frontEnd.wireSettings.brokerName)
      body.append("\",\"cluster\":\"")
      body.append(text: WireSettings.clusterName)
      body.append("\"}},\"clusterAddrTable\":{\"")
      body.append(text: WireSettings.clusterName)
      body.append("\":[\"")
      body.append(text: frontEnd.wireSettings.brokerName)
      body.append("\"]}}")
    }
  }

  // MARK: Statistics

  // RocketMQ's tools read tables whose keys are objects; that is not JSON, and they read nothing else.

  func topicStatistics(_ header: RemotingHeader) throws(WireStop) {
    let topic = try existingTopic(try text(header, "topic"))
    answer(header) { body in
      body.append("{\"offsetTable\":{")
      appendQueues(of: topic, to: &body) { queue, body in
        let offsets = topic.log.offsets(ofQueue: queue)
        body.append("{\"lastUpdateTimestamp\":")
        body.appendInteger(offsets.isEmpty ? 0 : topic.log.lastReleasedMs)
        body.append(",\"maxOffset\":")
        body.appendInteger(offsets.upperBound)
        body.append(",\"minOffset\":")
        body.appendInteger(offsets.lowerBound)
        body.append("}")
      }
      body.append("}}")
    }
  }

  func consumerStatistics(_ header: RemotingHeader) throws(WireStop) {
    let group = try text(header, "consumerGroup")
    let name = header.fields.string("topic").flatMap { $0.isEmpty ? nil : $0 }
    let groupName = String(decoding: group, as: UTF8.self)
    var topics = frontEnd.wireTopics.filter { broker.committedGroups(of: $0).contains(groupName) }
    if let name { topics = [try existingTopic(name)] }
    answer(header) { body in
      body.append("{\"consumeTps\":0,\"offsetTable\":{")
      for (place, topic) in topics.enumerated() {
        if place > 0 { body.append(",") }
        appendQueues(of: topic, to: &body) { queue, body in
          let end = topic.log.offsets(ofQueue: queue).upperBound
          body.append("{\"brokerOffset\":")
          body.appendInteger(end)
          body.append(",\"consumerOffset\":")
          body.appendInteger(broker.committedOffset(ofQueue: queue, in: topic, group: group) ?? 0)
          body.append(",\"lastTimestamp\":")
          body.appendInteger(topic.log.lastReleasedMs)
          body.append("}")
        }
      }
      body.append("}}")
    }
  }

  private func appendQueues(
    of topic: Topic, to body: inout ByteBuffer, _ appendOne: (UInt8, inout ByteBuffer) -> Void
  ) {
    for queue in 0..<topic.nameBytes.withBytes({ frontEnd.readQueues(of: $0) }) {
      body.append(queue > 0 ? ",{\"brokerName\":\"" : "{\"brokerName\":\"")
      body.append(text: frontEnd.wireSettings.brokerName)
      body.append("\",\"queueId\":")
      body.appendInteger(Int64(queue))
      body.append(",\"topic\":")
      body.appendJSONString(topic.name)
      body.append("}:")
      appendOne(UInt8(queue), &body)
    }
  }

  func listConnections(_ header: RemotingHeader) throws(WireStop) {
    let group = String(decoding: try text(header, "consumerGroup"), as: UTF8.self)
    let members = frontEnd.groups.members(of: group)
    guard let first = members.first else {
      throw .refused(.systemError, "no consumer of group '\(group)' is here")
    }
    answer(header) { body in
      body.append("{\"connectionSet\":[")
      for (place, member) in members.enumerated() {
        body.append(place > 0 ? ",{\"clientId\":" : "{\"clientId\":")
        body.appendJSONString(member.clientID)
        body.append("}")
      }
      body.append("],\"consumeType\":\"")
      body.append(first.consumer.consumeType == .actively ? "CONSUME_ACTIVELY" : "CONSUME_PASSIVELY")
      body.append("\",\"messageModel\":\"")
      body.append(first.consumer.messageModel == .broadcasting ? "BROADCASTING" : "CLUSTERING")
      body.append("\",\"subscriptionTable\":{")
      for (place, subscription) in first.consumer.subscriptions.enumerated() {
        if place > 0 { body.append(",") }
        body.appendJSONString(subscription.topic)
        body.append(":{\"expressionType\":")
        body.appendJSONString(subscription.expressionType)
        body.append(",\"subString\":")
        body.appendJSONString(subscription.expression)
        body.append(",\"subVersion\":")
        body.appendInteger(subscription.version)
        body.append(",\"topic\":")
        body.appendJSONString(subscription.topic)
        body.append("}")
      }
      body.append("}}")
    }
  }

  func listConsumingGroups(_ header: RemotingHeader) throws(WireStop) {
    let groups = broker.committedGroups(of: try existingTopic(try text(header, "topic")))
    answer(header) { body in
      body.append("{\"groupList\":[")
      for (place, group) in groups.enumerated() {
        if place > 0 { body.append(",") }
        body.appendJSONString(group)
      }
      body.append("]}")
    }
  }

  private func existingTopic(_ name: UnsafeRawBufferPointer) throws(WireStop) -> Topic {
    try frontEnd.requireTopicName(name)
    if let topic = broker.findTopic(name) { return topic }
    throw .refused(.topicNotExist, "there is no topic '\(String(decoding: name, as: UTF8.self))'")
  }
}
