// What a server says about itself when a connection begins, and whenever that changes.

import LineProtocol

/// The `INFO` of a server.
public struct ServerInfo: Equatable, Sendable {
  /// Its name, for people and for the lists of peers.
  public private(set) var name = ""
  /// Its version, such as `2.15.1`.
  public private(set) var version = ""
  /// Whether messages may have headers.
  public private(set) var hasHeaders = false
  /// Whether this server has JetStream itself.
  public private(set) var hasJetStream = false
  /// The largest message that may be published to it, headers and payload.
  public private(set) var payloadBytesMax = 0
  /// Other servers of the same cluster, as `host:port`.
  public private(set) var otherServers: [String] = []
  /// Whether it wants TLS at once.
  public private(set) var requiresTLS = false
  /// Whether it can do TLS when the client wants it.
  public private(set) var offersTLS = false
  /// Whether it is about to end: clients shall leave.
  public private(set) var isLeaving = false

  // A cluster has a few servers; a list without end is nonsense.
  private static let otherServersMax = 64

  init() {}

  init(json: UnsafeRawBufferPointer, _ reader: JSONReader) throws(NATSProtocolError) {
    let value: JSONValue
    do throws(JSONError) { value = try reader.parse(json) } catch { throw NATSProtocolError("INFO: \(error)") }
    guard var members = value.object() else { throw NATSProtocolError("INFO that is no JSON object") }
    while let (key, value) = members.next() {
      switch String(decoding: key, as: UTF8.self) {
      case "server_name": name = value.text() ?? ""
      case "version": version = value.text() ?? ""
      case "headers": hasHeaders = value.boolean() ?? false
      case "jetstream": hasJetStream = value.boolean() ?? false
      case "max_payload": payloadBytesMax = Int(clamping: max(0, value.integer() ?? 0))
      case "tls_required": requiresTLS = value.boolean() ?? false
      case "tls_available": offersTLS = value.boolean() ?? false
      case "ldm": isLeaving = value.boolean() ?? false
      case "connect_urls":
        guard var urls = value.array() else { continue }
        while let url = urls.next(), otherServers.count < Self.otherServersMax {
          if let text = url.text() { otherServers.append(text) }
        }
      default: continue
      }
    }
  }
}
