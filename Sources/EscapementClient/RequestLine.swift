// Writes one request as one line.
//
// Holds: what it wrote is an open JSON object until `finished`; strings are escaped so that no newline can get in.
// Leaves to others: request numbers and sending (EscapementClient+Requests).

import Foundation

struct RequestLine: Sendable {
  let op: String
  /// Which node of a cluster it is for.
  private(set) var place = Place.anywhere
  private var bytes: [UInt8]

  init(_ op: String) {
    self.op = op
    bytes = Array("{\"op\":\"\(op)\"".utf8)
  }

  private init(op: String, bytes: [UInt8]) {
    self.op = op
    self.bytes = bytes
  }

  /// The complete line, newline and all.
  func finished(rid: Int64) -> [UInt8] { bytes + Array(",\"rid\":\(rid)}\n".utf8) }

  /// The same request, without a reply.
  var unanswered: RequestLine {
    var line = self
    line.set("acks", "none")
    return line
  }

  /// The topic it is about.
  mutating func set(topic: String) {
    place = .topic(topic)
    set("topic", topic)
  }

  /// Sends it to the leader of a topic that it does not name.
  mutating func set(forTopic topic: String) { place = .topic(topic) }

  /// The shard it is about, when that is not its topic's.
  mutating func set(shard: Int) {
    place = .shard(shard)
    set("shard", shard)
  }

  /// Sends it to this node, whoever leads.
  mutating func set(node: ServerAddress) { place = .node(node) }

  mutating func set(_ name: String, _ value: String?) {
    guard let value else { return }
    begin(name)
    bytes.append(contentsOf: JSONText.quoted(value))
  }

  mutating func set(_ name: String, _ value: Int64?) {
    guard let value else { return }
    begin(name)
    bytes.append(contentsOf: String(value).utf8)
  }

  mutating func set(_ name: String, _ value: Int?) { set(name, value.map(Int64.init)) }

  mutating func set(_ name: String, _ value: Bool?) { raw(name, value.map { Array(($0 ? "true" : "false").utf8) }) }

  mutating func set(_ name: String, _ values: [String]) {
    guard !values.isEmpty else { return }
    raw(
      name,
      [UInt8(ascii: "[")] + values.map(JSONText.quoted).joined(separator: [UInt8(ascii: ",")]) + [UInt8(ascii: "]")])
  }

  mutating func set(_ name: String, offsets: some Sequence<UInt64>) {
    raw(name, Array("[\(offsets.map { String($0) }.joined(separator: ","))]".utf8))
  }

  /// Headers, sorted by name so that equal requests are equal lines.
  mutating func set(_ name: String, _ headers: [String: String]) {
    guard !headers.isEmpty else { return }
    let pairs = headers.sorted { $0.key < $1.key }
      .map { JSONText.quoted($0.key) + [UInt8(ascii: ":")] + JSONText.quoted($0.value) }
    raw(name, [UInt8(ascii: "{")] + pairs.joined(separator: [UInt8(ascii: ",")]) + [UInt8(ascii: "}")])
  }

  /// An array of objects, each filled by `fill`.
  mutating func set<Item>(_ name: String, objects: [Item], _ fill: (Item, inout RequestLine) -> Void) {
    begin(name)
    bytes.append(UInt8(ascii: "["))
    for (place, item) in objects.enumerated() {
      if place > 0 { bytes.append(UInt8(ascii: ",")) }
      var object = RequestLine(op: "", bytes: [UInt8(ascii: "{")])
      fill(item, &object)
      bytes.append(contentsOf: object.bytes)
      bytes.append(UInt8(ascii: "}"))
    }
    bytes.append(UInt8(ascii: "]"))
  }

  /// A field whose value is JSON text already.
  mutating func raw(_ name: String, _ value: [UInt8]?) {
    guard let value else { return }
    begin(name)
    bytes.append(contentsOf: value)
  }

  private mutating func begin(_ name: String) {
    if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
    bytes.append(contentsOf: "\"\(name)\":".utf8)
  }
}

/// JSON text made from Swift values.
enum JSONText {
  /// The string as JSON, quotes and all.
  static func quoted(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = [UInt8(ascii: "\"")]
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case UInt8(ascii: "\n"): bytes += Array("\\n".utf8)
      case UInt8(ascii: "\r"): bytes += Array("\\r".utf8)
      case UInt8(ascii: "\t"): bytes += Array("\\t".utf8)
      case 0..<0x20: bytes += Array("\\u00\(byte < 16 ? "0" : "")\(String(byte, radix: 16))".utf8)
      default: bytes.append(byte)
      }
    }
    return bytes + [UInt8(ascii: "\"")]
  }
}
