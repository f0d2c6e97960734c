// What is wrong, in words for whoever has to put it right: what, where, and what to do.

import NATS

enum Problem {
  /// What keeps the server that we are connected to from being used; nil when nothing does.
  static func ofServer(_ info: ServerInfo?) -> String? {
    guard let info else { return nil }
    if let problem = ofVersion(info.version, info.name) { return problem }
    guard info.hasHeaders else {
      return "the NATS server '\(info.name)' has no headers: take 'no_header_support' out of its configuration"
    }
    guard info.payloadBytesMax >= JetStreamSettings.payloadBytesMin else {
      return
        "the NATS server '\(info.name)' takes messages of \(info.payloadBytesMax) bytes only: set 'max_payload' to 1048576, "
        + "or leave it out"
    }
    return nil
  }

  /// What is wrong with a server that keeps the stream.
  static func ofReport(_ report: ServerReport) -> String? {
    if let problem = ofVersion(report.version, report.name) { return problem }
    guard report.syncsAlways != true else { return nil }
    return
      "the NATS server '\(report.name)' does not write to its disk before it answers, so that a loss of power takes "
      + "away what was acknowledged: set 'jetstream { sync_interval: always }' there and restart it"
  }

  private static func ofVersion(_ version: String, _ name: String) -> String? {
    if ServerVersion.isGood(version) { return nil }
    return
      "the NATS server '\(name)' is of version '\(version)', and \(JetStreamSettings.oldestServer) or later is needed: "
      + "older ones lose what they have acknowledged; upgrade it"
  }

  static func unseen(_ subject: String) -> String {
    "no NATS server says whether it writes to its disk before it answers: export the service '\(subject)' from the system "
      + "account and import it into the account of this user, who may publish to it"
  }

  static func refused(_ reason: String, _ settings: JetStreamSettings) -> String {
    "the NATS server does not allow this user what the stream '\(settings.name)' needs: \(reason)"
  }

  static func missing(_ settings: JetStreamSettings, isKnown: Bool) -> String {
    isKnown
      ? "the stream '\(settings.name)' is gone, and with it what this node has not read: bring the servers back that had it, "
        + "or begin a new generation"
      : "there is no stream '\(settings.name)', and this node may not make it: start the cluster with the command that makes "
        + "it, or look whether the servers and the account are the right ones"
  }

  static func notMade(_ settings: JetStreamSettings, _ error: StreamError) -> String {
    "the stream '\(settings.name)' cannot be made: \(error.words)"
  }

  static func different(_ settings: JetStreamSettings, _ differences: [String]) -> String {
    "the stream '\(settings.name)' is not set up as it must be: \(differences.joined(separator: "; ")); change it with "
      + "the tools of NATS, or use another name"
  }

  static func otherCluster(_ settings: JetStreamSettings, shards: Int) -> String {
    "the stream '\(settings.name)' is of a cluster that was made with \(shards) shards, and this node is set to "
      + "\(settings.shards): the number cannot be changed, because topics belong to shards by it; start the node with '--shards "
      + "\(shards)'"
  }

  static func replaced(_ settings: JetStreamSettings) -> String {
    "the stream '\(settings.name)' is not the one that was here before: it was removed and made again, and holds nothing of "
      + "what this node knows; bring the servers back that had it, or begin a new generation"
  }

  static func unreachable(_ settings: JetStreamSettings, _ reason: String) -> String {
    "the stream '\(settings.name)' cannot be reached: \(reason)"
  }

  static func resources(_ settings: JetStreamSettings, _ error: StreamError) -> String {
    "the NATS servers cannot store what the stream '\(settings.name)' takes: \(error.words); give JetStream more room "
      + "('max_file_store', the disk)"
  }
}
