// What JetStream answers, as values.
//
// Holds: what is not as it must be is nil, and counts as no answer.
// Leaves to others: what follows from it (JetStreamStream).

import LineProtocol
import NATS
import Primitives
import ReplicatedStream

/// An error of JetStream.
struct StreamError: Equatable {
  static let noSuchStream = 10059
  static let noSuchMessage = 10037
  static let wrongLastSequence = 10071
  static let isFull = 10077
  static let needsResources = [10023, 10047]
  /// Nobody leads at the moment.
  static let passing = [10004, 10008, 10009]

  var number = 0
  var text = ""

  /// For people.
  var words: String { "\(text) (\(number))" }

  init(_ value: JSONValue) {
    guard var members = value.object() else { return }
    while let (key, value) = members.next() {
      switch String(decoding: key, as: UTF8.self) {
      case "err_code": number = Int(clamping: value.integer() ?? 0)
      case "description": text = value.text() ?? ""
      default: continue
      }
    }
  }

  /// The number at the end of `wrong last sequence: 7`.
  var lastSequence: EntrySequence? {
    guard number == Self.wrongLastSequence, let space = text.lastIndex(of: " ") else { return nil }
    return EntrySequence(text[text.index(after: space)...])
  }
}

/// The reply to an append, and to a purge, which have their few members at the top.
struct ShortReply: Equatable {
  var error: StreamError?
  var stream: String?
  var sequence: UInt64 = 0
  var isDuplicate = false
  var isSuccess = false

  init?(_ json: UnsafeRawBufferPointer, _ reader: JSONReader) {
    guard let value = try? reader.parse(json), var members = value.object() else { return nil }
    while let (key, value) = members.next() {
      switch String(decoding: key, as: UTF8.self) {
      case "error": error = StreamError(value)
      case "stream": stream = value.text()
      case "seq": sequence = value.integer().flatMap { UInt64(exactly: $0) } ?? 0
      case "duplicate": isDuplicate = value.boolean() ?? false
      case "success": isSuccess = value.boolean() ?? false
      default: continue
      }
    }
  }
}

/// The reply to a question for a stream, and to its making.
struct StreamInfo {
  var error: StreamError?
  var configuration = StreamConfiguration()
  var created = ""
  var firstSequence: UInt64 = 0
  var lastSequence: UInt64 = 0
  var messages: UInt64 = 0
  var bytes: UInt64 = 0
  /// The servers that keep it; empty where there is no cluster.
  var peers: [String] = []

  init?(_ json: UnsafeRawBufferPointer, _ reader: JSONReader) {
    guard let value = try? reader.parse(json), var members = value.object() else { return nil }
    while let (key, value) = members.next() {
      switch String(decoding: key, as: UTF8.self) {
      case "error": error = StreamError(value)
      case "config": configuration = StreamConfiguration(value)
      case "created": created = value.text() ?? ""
      case "state": takeState(value)
      case "cluster": takeCluster(value)
      default: continue
      }
    }
    guard error != nil || !created.isEmpty else { return nil }
    // A stream that is empty has no first message; the next one would be it.
    if messages == 0 { firstSequence = lastSequence + 1 }
    guard firstSequence >= 1, lastSequence < UInt64(Int64.max), firstSequence <= lastSequence + 1 else { return nil }
  }

  private mutating func takeState(_ value: JSONValue) {
    guard var members = value.object() else { return }
    while let (key, value) = members.next() {
      let number = value.integer().flatMap { UInt64(exactly: $0) } ?? 0
      switch String(decoding: key, as: UTF8.self) {
      case "messages": messages = number
      case "bytes": bytes = number
      case "first_seq": firstSequence = number
      case "last_seq": lastSequence = number
      default: continue
      }
    }
  }

  private mutating func takeCluster(_ value: JSONValue) {
    guard var members = value.object() else { return }
    while let (key, value) = members.next() {
      switch String(decoding: key, as: UTF8.self) {
      case "leader": if let name = value.text(), !name.isEmpty { peers.append(name) }
      case "replicas":
        guard var replicas = value.array() else { continue }
        while let replica = replicas.next() { if let name = Self.name(of: replica) { peers.append(name) } }
      default: continue
      }
    }
  }

  private static func name(of replica: JSONValue) -> String? {
    guard var members = replica.object() else { return nil }
    while let (key, value) = members.next() { if key.elementsEqual("name".utf8) { return value.text() } }
    return nil
  }
}

/// The reply of a server about its JetStream.
struct ServerReport: Equatable {
  var name = ""
  var version = ""
  /// Nil when it does not say.
  var syncsAlways: Bool?

  init?(_ json: UnsafeRawBufferPointer, _ reader: JSONReader) {
    guard let value = try? reader.parse(json), var members = value.object() else { return nil }
    while let (key, value) = members.next() {
      guard var inner = value.object() else { continue }
      let isServer = key.elementsEqual("server".utf8)
      let isData = key.elementsEqual("data".utf8)
      while let (key, value) = inner.next() {
        switch String(decoding: key, as: UTF8.self) {
        case "name" where isServer: name = value.text() ?? ""
        case "ver" where isServer: version = value.text() ?? ""
        case "config" where isData: syncsAlways = Self.syncsAlways(value)
        default: continue
        }
      }
    }
    guard !name.isEmpty else { return nil }
  }

  private static func syncsAlways(_ value: JSONValue) -> Bool {
    guard var members = value.object() else { return false }
    while let (key, value) = members.next() {
      if key.elementsEqual("sync_always".utf8) { return value.boolean() ?? false }
    }
    return false
  }
}

/// A message that the leader of the stream has given.
enum GivenMessage {
  case entry(StreamEntry)
  case none
  case error(StreamError)

  init?(_ json: UnsafeRawBufferPointer, _ reader: JSONReader) {
    guard let value = try? reader.parse(json), var members = value.object() else { return nil }
    while let (key, value) = members.next() {
      if key.elementsEqual("error".utf8) {
        let error = StreamError(value)
        self = error.number == StreamError.noSuchMessage ? .none : .error(error)
        return
      }
      guard key.elementsEqual("message".utf8), var inner = value.object() else { continue }
      var (sequence, bytes): (UInt64, [UInt8]?) = (0, [])
      while let (key, value) = inner.next() {
        switch String(decoding: key, as: UTF8.self) {
        case "seq": sequence = value.integer().flatMap { UInt64(exactly: $0) } ?? 0
        case "data": bytes = value.string().flatMap { Base64.decoded($0) }
        default: continue
        }
      }
      guard sequence > 0, let bytes else { return nil }
      self = .entry(StreamEntry(sequence: sequence, previous: sequence - 1, bytes: bytes))
      return
    }
    return nil
  }
}
