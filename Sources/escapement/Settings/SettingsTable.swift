// Every setting of `serve`, in the order of the help and the reference page. One more is one more line.

import Broker
import Engine
import Foundation
import Journal
import Logs
import RabbitMQFrontEnd
import Server

/// What `serve` runs with.
struct ServeSettings: Sendable {
  /// Its listeners are put together from the addresses below.
  var server = ServerSettings()
  /// Where the line protocol is spoken.
  var line = ListenAddress(host: "127.0.0.1", port: 7611, wire: .line)
  /// Where HTTP is spoken; nil for nowhere. Somebody else may have the port unless it was asked for by name.
  var http: ListenAddress? = ListenAddress(host: "127.0.0.1", port: 7612, wire: .http, isRequired: false)
  /// Where AMQP 0-9-1 is spoken; nil for nowhere. Somebody else's broker may have the port unless it was asked for by name.
  var amqp: ListenAddress? = ListenAddress(host: "127.0.0.1", port: 5672, wire: .amqp, isRequired: false)
  /// Where RocketMQ's remoting protocol is spoken; nil for nowhere.
  var rocketMQ: ListenAddress?
  var cluster = ClusterSettings()
  var configFile: String?
  var accessFile: String?
  var tokenFile: String?
  var tlsCertificate: String?
  var tlsKey: String?
  var tlsClientAuthorities: String?
  /// Whether anybody may be listened to without having to say who he is.
  var isInsecure = false
  var logFormat = LogFormat.text
  var logLevel = LogLevel.info
}

enum SettingsTable {
  /// A heading of the reference page and its settings.
  struct Section: Sendable {
    var title: String
    var settings: [Setting]
  }

  static let all: [Setting] = sections.flatMap(\.settings)

  static let sections = [
    Section(title: "Where", settings: places),
    Section(title: "Who", settings: clients),
    Section(title: "Cluster", settings: cluster),
    Section(title: "Time and messages", settings: messages),
    Section(title: "Limits", settings: limits),
    Section(title: "Disk", settings: disk),
    Section(title: "Log", settings: logs),
  ]

  private static let places: [Setting] = [
    .text("config", "FILE", "a file of settings; not in the file itself") {
      $0.configFile = $1
    } shown: {
      $0.configFile ?? ""
    },
    .text("data", "DIR", "the data folder; made when it is not there") {
      $0.server.dataFolder = $1
    } shown: {
      $0.server.dataFolder
    },
    .text("listen", "HOST:PORT", "where to listen; port 0 picks one") { (settings, text) throws(BadValue) in
      do throws(UsageError) {
        let address = try Session.address(text, allowsAnyPort: true)
        settings.line = ListenAddress(host: address.host, port: UInt16(address.port), wire: .line)
      } catch {
        throw BadValue(error.description)
      }
    } shown: {
      $0.line.description
    },
    .text("amqp", "HOST:PORT|off", "where AMQP 0-9-1 clients come in, RabbitMQ's port unless said otherwise") {
      (settings, text) throws(BadValue) in
      if text == "off" { return settings.amqp = nil }
      do throws(UsageError) {
        let address = try Session.address(text, allowsAnyPort: true)
        settings.amqp = ListenAddress(host: address.host, port: UInt16(address.port), wire: .amqp)
      } catch {
        throw BadValue(error.description)
      }
    } shown: {
      $0.amqp?.description ?? "off"
    },
    .text("rocketmq", "HOST:PORT|off", "where RocketMQ clients come in; 9876 is the usual port of their name server") {
      (settings, text) throws(BadValue) in
      if text == "off" { return settings.rocketMQ = nil }
      do throws(UsageError) {
        let address = try Session.address(text, allowsAnyPort: true)
        settings.rocketMQ = ListenAddress(host: address.host, port: UInt16(address.port), wire: .remoting)
      } catch {
        throw BadValue(error.description)
      }
    } shown: {
      $0.rocketMQ?.description ?? "off"
    },
    .text("rocketmq-advertise", "HOST:PORT|auto", "where RocketMQ clients are told to connect; auto: where we listen") {
      (settings, text) throws(BadValue) in
      if text == "auto" { return settings.server.rocketMQAdvertised = nil }
      do throws(UsageError) {
        let address = try Session.address(text)
        settings.server.rocketMQAdvertised = (address.host, UInt16(address.port))
      } catch {
        throw BadValue(error.description)
      }
    } shown: {
      $0.server.rocketMQAdvertised.map { "\(ListenAddress(host: $0.host, port: $0.port, wire: .remoting))" } ?? "auto"
    },
    .text("amqp-virtual-hosts", "NAME,…", "virtual hosts that AMQP clients may open besides /") {
      (settings, text) throws(BadValue) in
      var hosts: [VirtualHost] = []
      for name in text.split(separator: ",") {
        let name = name.trimmingCharacters(in: .whitespaces)
        guard let host = VirtualHost(name) else {
          throw BadValue("'\(name)' is no name of a virtual host: 1 to 128 bytes without a slash")
        }
        hosts.append(host)
      }
      settings.server.virtualHosts = hosts
    } shown: {
      $0.server.virtualHosts.map(\.name).joined(separator: ",")
    },
    .text("http", "HOST:PORT|off", "where HTTP is spoken: operations, metrics, health") {
      (settings, text) throws(BadValue) in
      if text == "off" { return settings.http = nil }
      do throws(UsageError) {
        let address = try Session.address(text, allowsAnyPort: true)
        settings.http = ListenAddress(host: address.host, port: UInt16(address.port), wire: .http)
      } catch {
        throw BadValue(error.description)
      }
    } shown: {
      $0.http?.description ?? "off"
    },
    .text("http-hosts", "NAME,…", "names that HTTP requests may call this server, beside localhost and addresses") {
      $0.server.hostNames = $1.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
    } shown: {
      $0.server.hostNames.joined(separator: ",")
    },
  ]

  private static let clients: [Setting] = [
    .text("access", "FILE", "who may do what, made with 'escapement access'; read again on SIGHUP") {
      $0.accessFile = $1
    } shown: {
      $0.accessFile ?? ""
    },
    .text("token-file", "FILE", "tokens that clients may say hello with, one a line") {
      $0.tokenFile = $1
    } shown: {
      $0.tokenFile ?? ""
    },
    .text("tls-cert", "FILE", "TLS for every listener: the certificate and its chain, as PEM; read again on SIGHUP") {
      $0.tlsCertificate = $1
    } shown: {
      $0.tlsCertificate ?? ""
    },
    .text("tls-key", "FILE", "the private key, as PEM; that of the file of the certificate unless said") {
      $0.tlsKey = $1
    } shown: {
      $0.tlsKey ?? ""
    },
    .text("tls-client-ca", "FILE", "authorities, as PEM, of which every client must show a certificate") {
      $0.tlsClientAuthorities = $1
    } shown: {
      $0.tlsClientAuthorities ?? ""
    },
    .onOff(
      "insecure", "listen on other than loopback addresses without asking who a client is", isFlag: true,
      \.isInsecure),
  ]

  private static let messages: [Setting] = [
    .text("fsync", "MODE", "always, interval or interval:MS, never") { (settings, text) throws(BadValue) in
      settings.server.journal.policy = try policy(text)
    } shown: {
      switch $0.server.journal.policy {
      case .always: "always"
      case .never: "never"
      case .interval(let ms): "interval:\(ms)"
      }
    },
    .onOff(
      "auto-create", "whether topics and groups come into being on first use", \.server.engine.broker.createsOnUse),
    .text("delay-levels", "TABLE", "delays of the levels 1, 2, …") { (settings, text) throws(BadValue) in
      guard let levels = DelayLevels.parse(text) else {
        throw BadValue("'\(text)' is no table of delays such as '1s 5s 10s 1m 1h 1d'")
      }
      settings.server.engine.broker.delayLevelsMs = levels
      settings.server.engine.broker.delayLevelsText = text
    } shown: {
      $0.server.engine.broker.delayLevelsText
    },
    .number("tick-ms", 1...60_000, .ms, "resolution of the timing wheel", \.server.engine.broker.tickMs),
    .number("wheel-size", 2...(1 << 20), .count, "slots of each wheel", \.server.engine.broker.wheelSize),
    .number("max-delay-ms", 1...(1 << 52), .ms, "the longest delay", \.server.engine.broker.maxDelayMs),
    .number(
      "id-window-ms", 0...(1 << 40), .ms, "how long ids are remembered after release or cancel",
      \.server.engine.broker.idWindowMs),
    .number(
      "retention-ms", 1...(1 << 52), .ms, "how long a topic keeps messages if it says nothing else",
      \.server.engine.broker.retentionMsDefault),
    .number(
      "retention-bytes", 1 ... .max, .bytes, "how much a topic keeps if it says nothing else",
      \.server.engine.broker.retentionBytesDefault),
    .number(
      "rocketmq-queues", 1...256, .count, "queues of a topic, as RocketMQ clients see it, if nothing else is said",
      \.server.rocketMQQueues),
    .number(
      "transaction-check-delay-ms", 1...86_400_000, .ms, "first question about an undecided transaction",
      \.server.engine.broker.heldFirstCheckMs),
    .number(
      "transaction-check-interval-ms", 1...86_400_000, .ms, "time between two such questions",
      \.server.engine.broker.heldCheckIntervalMs),
    .number(
      "transaction-check-max", 0...1_000_000, .count, "questions before a transaction is discarded",
      \.server.engine.broker.heldChecksMax),
    .number(
      "clock-step-ms", 0...86_400_000, .ms,
      "steps of the wall clock beyond this are followed or waited out, not slewed",
      \.server.clockStepMs),
  ]

  private static let disk: [Setting] = [
    .number(
      "slice-ms", 1...86_400_000, .ms, "width of the finest slice of the store; fixed when the folder is made",
      \.server.engine.broker.sliceMs),
    .number("segment-bytes", 4096...(1 << 32), .bytes, "size of topic segments", \.server.engine.broker.segmentBytes),
    .number(
      "journal-segment-bytes", 16_384...(1 << 30), .bytes, "size of journal segments", \.server.journal.segmentBytes),
    .number(
      "checkpoint-bytes", 4096 ... .max, .bytes, "journal bytes between checkpoints", \.server.engine.checkpointBytes),
    .number(
      "min-free-bytes", 0 ... .max, .bytes, "new messages are refused below this much free disk",
      \.server.engine.minFreeBytes),
    .number("reserve-bytes", 0...(1 << 40), .bytes, "disk set aside for a full disk", \.server.engine.reserveBytes),
    .onOff(
      "salvage", "leave damaged ranges of the journal out instead of refusing to start", isFlag: true,
      \.server.engine.salvages),
  ]

  private static let logs: [Setting] = [
    .words("log-format", "a line of text or a JSON object for each event, on the standard error", \.logFormat),
    .words("log-level", "the least urgent lines that are written", \.logLevel),
  ]

  private static func policy(_ text: String) throws(BadValue) -> SyncPolicy {
    switch text {
    case "always": return .always
    case "never": return .never
    case "interval": return .interval(ms: 100)
    default:
      if text.hasPrefix("interval:"), let ms = Int(text.dropFirst(9)), (1...3_600_000).contains(ms) {
        return .interval(ms: ms)
      }
      throw BadValue("'\(text)' is none of always, interval, interval:MS, never")
    }
  }
}
