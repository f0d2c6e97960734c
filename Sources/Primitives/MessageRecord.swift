// The one binary form of a message, the same in the journal, in a slice of the delay store and in a topic segment, so that
// a message moves between them as a copy of bytes.
//
// Holds: little-endian, 8-byte aligned, 56 bytes of header and then id, key, tag, headers, body without gaps.
//
//   0 u32 length of the record, a multiple of 8     32 u32 number of the topic      48 u32 length of the body
//   4 u32 CRC-32C of bytes 8..<length               36 u16 length of the id         52 u32 flags
//   8 u64 sequence; in a topic: the offset          38 u16 length of the key
//  16 i64 due time, Unix ms                         40 u16 length of the tag
//  24 i64 time of acceptance; in a topic: release   42 u16 kind
//                                                   44 u32 length of the headers
//
// Bits 0 to 7 of the flags are the number of the message's queue within its topic, where a topic has queues; bits 28 and 29 say
// how the body is written (`BodyEncoding`); the others are free for the broker and the front ends.
//
// Leaves to others: what headers and body say. They are kept byte for byte and never looked into.

/// What a record in a slice or topic file is.
public enum RecordKind {
  /// A message.
  public static let message: UInt16 = 1
  /// In a slice: the record at the file position given as its sequence is dead.
  public static let tombstone: UInt16 = 2
  /// A message that damage has taken, and that holds its place: times, topic, sequence or offset are its own, the rest is empty.
  /// In topic 0, which nobody has: bytes that mean nothing. Made by a salvage only.
  public static let lost: UInt16 = 3
}

/// How the bytes of a body came, and so how a JSON protocol shows them.
public enum BodyEncoding: UInt32, Sendable {
  /// The text of a JSON value.
  case json = 0
  /// Bytes without a meaning of their own.
  case bytes = 1
  /// UTF-8 that came as a JSON string: the bytes are what the string stands for.
  case text = 2

  /// The bits that say so in a record's flags.
  public var flags: UInt32 { rawValue << 28 }
  static let flagMask: UInt32 = 3 << 28

  /// Reads the bits of a record's flags. A value that no version writes counts as bytes.
  @inlinable public init(flags: UInt32) { self = BodyEncoding(rawValue: flags >> 28 & 3) ?? .bytes }
}

/// The parts of a message as they arrive, to be written as a record. The buffers belong to the caller.
public struct MessageParts {
  /// The id, decoded, 1…128 bytes.
  public var id: UnsafeRawBufferPointer
  /// The ordering key; empty when there is none.
  public var key = UnsafeRawBufferPointer(start: nil, count: 0)
  /// The tag; empty when there is none.
  public var tag = UnsafeRawBufferPointer(start: nil, count: 0)
  /// A JSON object of strings, or what a front end keeps there; empty when there is none.
  public var headers = UnsafeRawBufferPointer(start: nil, count: 0)
  /// The body, as `encoding` says.
  public var body: UnsafeRawBufferPointer
  /// The encoding of the body, and bits that are free for the broker and the front ends; kept with the message.
  public var flags: UInt32 = 0

  /// A message of an id and a body, which is JSON text unless `encoding` says otherwise.
  @inlinable public init(id: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer) {
    self.id = id
    self.body = body
  }

  /// How the body is written.
  public var encoding: BodyEncoding {
    get { BodyEncoding(flags: flags) }
    set { flags = flags & ~BodyEncoding.flagMask | newValue.flags }
  }

  /// The queue of its topic that it belongs to; 0 where nobody has chosen one.
  public var queue: UInt8 {
    get { UInt8(truncatingIfNeeded: flags) }
    set { flags = flags & ~0xFF | UInt32(newValue) }
  }

  /// Bytes that the record takes.
  public var recordLength: Int {
    (MessageRecord.headerLength + id.count + key.count + tag.count + headers.count + body.count + 7) & ~7
  }
}

/// A view of the bytes of one record. Costs nothing; valid as long as the bytes are.
public struct MessageRecord {
  /// Bytes before the id.
  public static let headerLength = 56

  /// The first byte.
  public let base: UnsafeMutableRawPointer

  /// Looks at a record that starts at `base`.
  @inlinable public init(_ base: UnsafeMutableRawPointer) { self.base = base }
  /// Looks at a record that nobody will write through this view.
  @inlinable public init(_ base: UnsafeRawPointer) { self.base = UnsafeMutableRawPointer(mutating: base) }

  @inlinable func load<T: FixedWidthInteger>(_ offset: Int, as type: T.Type) -> T {
    T(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: type))
  }
  @inlinable func store<T: FixedWidthInteger>(_ value: T, _ offset: Int) {
    base.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
  }

  /// Bytes of the whole record.
  @inlinable public var length: Int { Int(load(0, as: UInt32.self)) }
  /// The sequence of acceptance, or the offset in a topic.
  @inlinable public var sequence: UInt64 {
    get { load(8, as: UInt64.self) }
    nonmutating set { store(newValue, 8) }
  }
  /// The due time as the user gave it.
  @inlinable public var dueMs: UnixMs {
    get { load(16, as: Int64.self) }
    nonmutating set { store(newValue, 16) }
  }
  /// When it was accepted; in a topic, when it was released.
  @inlinable public var stampMs: UnixMs {
    get { load(24, as: Int64.self) }
    nonmutating set { store(newValue, 24) }
  }
  /// The number of its topic.
  @inlinable public var topic: UInt32 {
    get { load(32, as: UInt32.self) }
    nonmutating set { store(newValue, 32) }
  }
  /// Message, tombstone or lost.
  @inlinable public var kind: UInt16 { load(42, as: UInt16.self) }
  /// Whether there was a message here that damage has taken.
  @inlinable public var isLost: Bool { kind == RecordKind.lost }
  /// The encoding of the body, and bits that are free for the broker and the front ends.
  @inlinable public var flags: UInt32 { load(52, as: UInt32.self) }
  /// The queue of its topic that it belongs to; 0 where nobody has chosen one.
  @inlinable public var queue: UInt8 { UInt8(truncatingIfNeeded: flags) }
  /// How the body is written.
  @inlinable public var bodyEncoding: BodyEncoding { BodyEncoding(flags: flags) }
  @inlinable var idLength: Int { Int(load(36, as: UInt16.self)) }
  @inlinable var keyLength: Int { Int(load(38, as: UInt16.self)) }
  @inlinable var tagLength: Int { Int(load(40, as: UInt16.self)) }
  @inlinable var headersLength: Int { Int(load(44, as: UInt32.self)) }
  @inlinable var bodyLength: Int { Int(load(48, as: UInt32.self)) }

  @inlinable func part(_ offset: Int, _ count: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: base + offset, count: count)
  }
  /// The id.
  @inlinable public var id: UnsafeRawBufferPointer { part(Self.headerLength, idLength) }
  /// The ordering key; empty when there is none.
  @inlinable public var key: UnsafeRawBufferPointer { part(Self.headerLength + idLength, keyLength) }
  /// The tag; empty when there is none.
  @inlinable public var tag: UnsafeRawBufferPointer { part(Self.headerLength + idLength + keyLength, tagLength) }
  /// The headers, JSON; empty when there are none.
  @inlinable public var headers: UnsafeRawBufferPointer {
    part(Self.headerLength + idLength + keyLength + tagLength, headersLength)
  }
  /// The body, as `bodyEncoding` says.
  @inlinable public var body: UnsafeRawBufferPointer {
    part(Self.headerLength + idLength + keyLength + tagLength + headersLength, bodyLength)
  }
  /// The whole record.
  @inlinable public var bytes: UnsafeRawBufferPointer { part(0, length) }
  /// The parts, as views of this record's bytes.
  public var parts: MessageParts {
    var parts = MessageParts(id: id, body: body)
    parts.key = key
    parts.tag = tag
    parts.headers = headers
    parts.flags = flags
    return parts
  }

  /// Writes `parts` as a record at `base`, which has `parts.recordLength` bytes of room; no checksum yet.
  public static func write(
    _ parts: MessageParts, sequence: UInt64, dueMs: UnixMs, stampMs: UnixMs, topic: UInt32,
    at base: UnsafeMutableRawPointer
  ) {
    let record = MessageRecord(base)
    let length = parts.recordLength
    base.storeBytes(of: 0, toByteOffset: length - 8, as: UInt64.self)
    record.store(UInt32(length), 0)
    record.store(UInt32(0), 4)
    record.sequence = sequence
    record.dueMs = dueMs
    record.stampMs = stampMs
    record.topic = topic
    record.store(UInt16(parts.id.count), 36)
    record.store(UInt16(parts.key.count), 38)
    record.store(UInt16(parts.tag.count), 40)
    record.store(RecordKind.message, 42)
    record.store(UInt32(parts.headers.count), 44)
    record.store(UInt32(parts.body.count), 48)
    record.store(parts.flags, 52)
    var place = base + headerLength
    place = copy(parts.id, to: place)
    place = copy(parts.key, to: place)
    place = copy(parts.tag, to: place)
    place = copy(parts.headers, to: place)
    _ = copy(parts.body, to: place)
  }

  @inlinable static func copy(_ part: UnsafeRawBufferPointer, to place: UnsafeMutableRawPointer)
    -> UnsafeMutableRawPointer
  {
    if let source = part.baseAddress { place.copyMemory(from: source, byteCount: part.count) }
    return place + part.count
  }

  /// Writes a tombstone for the record at file position `position`; 56 bytes, sealed.
  public static func writeTombstone(for position: Int, at base: UnsafeMutableRawPointer) {
    base.initializeMemory(as: UInt8.self, repeating: 0, count: headerLength)
    let record = MessageRecord(base)
    record.store(UInt32(headerLength), 0)
    record.sequence = UInt64(position)
    record.store(RecordKind.tombstone, 42)
    record.seal()
  }

  /// Writes what stands for a lost message at `base`, `length` bytes, sealed.
  ///
  /// - Precondition: `length` is a multiple of 8 and has room for a header and the id.
  public static func writeLost(
    length: Int, sequence: UInt64, dueMs: UnixMs, stampMs: UnixMs, topic: UInt32, id: [UInt8] = [],
    at base: UnsafeMutableRawPointer
  ) {
    precondition(length % 8 == 0 && length >= headerLength + id.count, "a record has room for what it says")
    base.initializeMemory(as: UInt8.self, repeating: 0, count: length)
    let record = MessageRecord(base)
    record.store(UInt32(length), 0)
    record.sequence = sequence
    record.dueMs = dueMs
    record.stampMs = stampMs
    record.topic = topic
    record.store(UInt16(id.count), 36)
    record.store(RecordKind.lost, 42)
    record.store(BodyEncoding.bytes.flags, 52)
    (base + headerLength).copyMemory(from: id, byteCount: id.count)
    record.seal()
  }

  /// Puts the checksum in.
  @inlinable public func seal() { store(CRC32C.checksum(part(8, length - 8)), 4) }

  /// Checks what stands at the start of `bytes`: nil when it is no whole, undamaged record.
  public static func validated(_ bytes: UnsafeRawBufferPointer) -> MessageRecord? {
    guard bytes.count >= headerLength, let base = bytes.baseAddress else { return nil }
    let record = MessageRecord(base)
    let length = record.length
    guard length >= headerLength, length <= bytes.count, length & 7 == 0 else { return nil }
    guard CRC32C.checksum(record.part(8, length - 8)) == record.load(4, as: UInt32.self) else { return nil }
    let parts = record.idLength + record.keyLength + record.tagLength + record.headersLength + record.bodyLength
    guard headerLength + parts <= length else { return nil }
    guard (RecordKind.message...RecordKind.lost).contains(record.kind) else { return nil }
    return record
  }
}
