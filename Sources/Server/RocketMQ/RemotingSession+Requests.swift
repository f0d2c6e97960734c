// Which request is done where: the one table of what this server serves of the protocol.

import Primitives
import RemotingProtocol
import RocketMQFrontEnd

extension RemotingSession {
  /// Does a request and writes its answer, or keeps it to be answered later.
  func perform(_ header: RemotingHeader, _ body: UnsafeRawBufferPointer) throws(WireStop) {
    guard services.admission.anybody != nil else {
      throw .refused(
        .noPermission,
        "this server asks who its clients are, and RocketMQ's signatures cannot be checked against what it knows of them: "
          + "use the line protocol, HTTP or AMQP here, or run it without --access and --token-file")
    }
    guard let request = header.request else {
      throw .refused(.codeNotSupported, "this server does not serve requests of code \(header.code)")
    }
    switch request {
    case .sendMessage, .sendMessageV2, .sendBatchMessage: try send(header, body)
    case .pullMessage, .litePullMessage: try pull(header)
    case .queryConsumerOffset: try queryOffset(header)
    case .updateConsumerOffset: try updateOffset(header)
    case .getMaxOffset: try endOfQueue(header)
    case .getMinOffset: try beginningOfQueue(header)
    case .searchOffsetByTimestamp: try searchOffset(header)
    case .viewMessageByID: try view(header)
    case .heartbeat: try heartbeat(header, body)
    case .unregisterClient: try unregister(header)
    case .getConsumerListByGroup: try listMembers(header)
    case .checkClientConfig: try checkConfiguration(header, body)
    case .lockBatchQueues: try lockQueues(header, body)
    case .unlockBatchQueues: try unlockQueues(header, body)
    case .consumerSendMessageBack: try sendBack(header)
    case .endTransaction: try endTransaction(header)
    case .recallMessage: try recall(header)
    case .getRouteInfoByTopic: try route(header)
    case .updateAndCreateTopic: try createTopic(header)
    case .deleteTopicInBroker: try deleteTopic(header)
    // Routes are made when they are asked for.
    case .deleteTopicInNameServer: answer(header)
    case .getAllTopicListFromNameServer: listTopics(header)
    case .getTopicConfig: try describeTopic(header)
    case .getBrokerClusterInfo: describeCluster(header)
    case .getTopicStatsInfo: try topicStatistics(header)
    case .getConsumeStats: try consumerStatistics(header)
    case .getConsumerConnectionList: try listConnections(header)
    case .queryTopicConsumeByWho: try listConsumingGroups(header)
    case .queryMessage, .getAllTopicConfig, .getBrokerConfig, .getBrokerRuntimeInfo, .getEarliestMessageStoreTime,
      .checkTransactionState, .notifyConsumerIDsChanged, .updateAndCreateSubscriptionGroup,
      .getAllSubscriptionGroupConfig, .getProducerConnectionList, .resetConsumerClientOffset,
      .invokeBrokerToResetOffset, .getConsumerRunningInfo, .getSubscriptionGroupConfig:
      throw .refused(.codeNotSupported, "this server does not serve \(request.name) (code \(header.code))")
    }
  }

  /// What `body` reads of a request; what cannot be read is refused.
  func read<R>(_ body: () throws(RemotingError) -> R) throws(WireStop) -> R {
    do throws(RemotingError) { return try body() } catch { throw WireStop(error) }
  }

  /// A field that must be there.
  func text(_ header: RemotingHeader, _ name: StaticString) throws(WireStop) -> UnsafeRawBufferPointer {
    try read { () throws(RemotingError) in try header.fields.requiredString(name) }
  }

  /// A field that must be there.
  func integer(_ header: RemotingHeader, _ name: StaticString) throws(WireStop) -> Int64 {
    try read { () throws(RemotingError) in try header.fields.requiredInt64(name) }
  }

  /// Writes an answer with a body.
  func answer(_ header: RemotingHeader, body: (inout ByteBuffer) -> Void) {
    var frame = RemotingFrameWriter(response: .success, to: header, &out)
    frame.endHeader(&out)
    body(&out)
    frame.end(&out)
  }
}
