// The codes of requests that clients and admin tools send to a name server or broker, or that a broker sends to clients:
// one table.
//
// Leaves to others: which of them are served. A code that is not in the table is answered with `codeNotSupported`.
// Source: RocketMQ's `RequestCode`.

/// What a request asks for. The raw value is the code on the wire.
public enum RequestCode: Int32, CaseIterable, Sendable {
  case sendMessage = 10
  case pullMessage = 11
  case queryMessage = 12
  case queryConsumerOffset = 14
  case updateConsumerOffset = 15
  case updateAndCreateTopic = 17
  case getAllTopicConfig = 21
  case getBrokerConfig = 26
  case getBrokerRuntimeInfo = 28
  case searchOffsetByTimestamp = 29
  case getMaxOffset = 30
  case getMinOffset = 31
  case getEarliestMessageStoreTime = 32
  case viewMessageByID = 33
  case heartbeat = 34
  case unregisterClient = 35
  case consumerSendMessageBack = 36
  case endTransaction = 37
  case getConsumerListByGroup = 38
  case checkTransactionState = 39
  case notifyConsumerIDsChanged = 40
  case lockBatchQueues = 41
  case unlockBatchQueues = 42
  case checkClientConfig = 46
  case getRouteInfoByTopic = 105
  case getBrokerClusterInfo = 106
  case updateAndCreateSubscriptionGroup = 200
  case getAllSubscriptionGroupConfig = 201
  case getTopicStatsInfo = 202
  case getConsumerConnectionList = 203
  case getProducerConnectionList = 204
  case getAllTopicListFromNameServer = 206
  case getConsumeStats = 208
  case deleteTopicInBroker = 215
  case deleteTopicInNameServer = 216
  case resetConsumerClientOffset = 220
  case invokeBrokerToResetOffset = 222
  case queryTopicConsumeByWho = 300
  case getConsumerRunningInfo = 307
  case sendMessageV2 = 310
  case sendBatchMessage = 320
  case getTopicConfig = 351
  case getSubscriptionGroupConfig = 352
  case litePullMessage = 361
  case recallMessage = 370

  /// The name in RocketMQ's own sources, for remarks and logs.
  public var name: StaticString {
    switch self {
    case .sendMessage: "SEND_MESSAGE"
    case .pullMessage: "PULL_MESSAGE"
    case .queryMessage: "QUERY_MESSAGE"
    case .queryConsumerOffset: "QUERY_CONSUMER_OFFSET"
    case .updateConsumerOffset: "UPDATE_CONSUMER_OFFSET"
    case .updateAndCreateTopic: "UPDATE_AND_CREATE_TOPIC"
    case .getAllTopicConfig: "GET_ALL_TOPIC_CONFIG"
    case .getBrokerConfig: "GET_BROKER_CONFIG"
    case .getBrokerRuntimeInfo: "GET_BROKER_RUNTIME_INFO"
    case .searchOffsetByTimestamp: "SEARCH_OFFSET_BY_TIMESTAMP"
    case .getMaxOffset: "GET_MAX_OFFSET"
    case .getMinOffset: "GET_MIN_OFFSET"
    case .getEarliestMessageStoreTime: "GET_EARLIEST_MSG_STORETIME"
    case .viewMessageByID: "VIEW_MESSAGE_BY_ID"
    case .heartbeat: "HEART_BEAT"
    case .unregisterClient: "UNREGISTER_CLIENT"
    case .consumerSendMessageBack: "CONSUMER_SEND_MSG_BACK"
    case .endTransaction: "END_TRANSACTION"
    case .getConsumerListByGroup: "GET_CONSUMER_LIST_BY_GROUP"
    case .checkTransactionState: "CHECK_TRANSACTION_STATE"
    case .notifyConsumerIDsChanged: "NOTIFY_CONSUMER_IDS_CHANGED"
    case .lockBatchQueues: "LOCK_BATCH_MQ"
    case .unlockBatchQueues: "UNLOCK_BATCH_MQ"
    case .checkClientConfig: "CHECK_CLIENT_CONFIG"
    case .getRouteInfoByTopic: "GET_ROUTEINFO_BY_TOPIC"
    case .getBrokerClusterInfo: "GET_BROKER_CLUSTER_INFO"
    case .updateAndCreateSubscriptionGroup: "UPDATE_AND_CREATE_SUBSCRIPTIONGROUP"
    case .getAllSubscriptionGroupConfig: "GET_ALL_SUBSCRIPTIONGROUP_CONFIG"
    case .getTopicStatsInfo: "GET_TOPIC_STATS_INFO"
    case .getConsumerConnectionList: "GET_CONSUMER_CONNECTION_LIST"
    case .getProducerConnectionList: "GET_PRODUCER_CONNECTION_LIST"
    case .getAllTopicListFromNameServer: "GET_ALL_TOPIC_LIST_FROM_NAMESERVER"
    case .getConsumeStats: "GET_CONSUME_STATS"
    case .deleteTopicInBroker: "DELETE_TOPIC_IN_BROKER"
    case .deleteTopicInNameServer: "DELETE_TOPIC_IN_NAMESRV"
    case .resetConsumerClientOffset: "RESET_CONSUMER_CLIENT_OFFSET"
    case .invokeBrokerToResetOffset: "INVOKE_BROKER_TO_RESET_OFFSET"
    case .queryTopicConsumeByWho: "QUERY_TOPIC_CONSUME_BY_WHO"
    case .getConsumerRunningInfo: "GET_CONSUMER_RUNNING_INFO"
    case .sendMessageV2: "SEND_MESSAGE_V2"
    case .sendBatchMessage: "SEND_BATCH_MESSAGE"
    case .getTopicConfig: "GET_TOPIC_CONFIG"
    case .getSubscriptionGroupConfig: "GET_SUBSCRIPTIONGROUP_CONFIG"
    case .litePullMessage: "LITE_PULL_MESSAGE"
    case .recallMessage: "RECALL_MESSAGE"
    }
  }
}
