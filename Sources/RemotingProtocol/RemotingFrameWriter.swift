// Writes frames at the end of a buffer: responses the way their request was written, and requests to clients.
//
// Holds: the members of a JSON header stand in the order of the alphabet, as RocketMQ's own server writes them, and values
// of extension fields are strings even when they are numbers: the C++ client takes a JSON number there for nothing.
// Leaves to others: which fields a response needs. (The C++ client crashes when the successful response to a send, a query
// of an offset or of a queue's end has none.)

import LineProtocol
import Primitives

/// One frame in the making. Between `init` and `end` the buffer belongs to it: nothing may be taken from its front.
///
///     var frame = RemotingFrameWriter(response: .success, to: header, &buffer)
///     frame.field("queueOffset", 7, &buffer)
///     frame.endHeader(&buffer)
///     buffer.append(body)
///     frame.end(&buffer)
public struct RemotingFrameWriter: ~Copyable {
  /// The language we say we are written in: the one that every client expects of a broker.
  public static let language = LanguageCode.java
  /// The version we say we are: a RocketMQ 4.9. Clients leave out what an older broker could not do.
  public static let version: Int32 = 401
  /// The longest remark; a longer one is cut.
  public static let remarkBytesMax = 1024

  private let serialization: RemotingSerialization
  private let language: LanguageCode
  private let version: Int32
  private let opaque: Int32
  private let flag: Int32
  private let remark: String?
  // Whether the JSON header says again how it is written.
  private let namesSerialization: Bool
  // Places in the buffer: of the frame, and in binary of the length of the fields.
  private let start: Int
  private var fieldsAt = 0
  private var hasFields = false

  /// Begins a response.
  ///
  /// - Parameters:
  ///   - header: the request's; gives the number and the way of writing.
  ///   - remark: for people: what went wrong.
  public init(
    response code: ResponseCode, to header: RemotingHeader, remark: String? = nil, _ buffer: inout ByteBuffer
  ) {
    self.init(response: code, to: RequestReference(header), remark: remark, &buffer)
  }

  /// Begins a response to a request whose header is gone.
  public init(
    response code: ResponseCode, to request: RequestReference, remark: String? = nil, _ buffer: inout ByteBuffer
  ) {
    self.init(
      code: code.rawValue, serialization: request.serialization, language: Self.language, version: Self.version,
      opaque: request.opaque, flag: RemotingHeader.responseBit, remark: remark, namesSerialization: true, &buffer)
  }

  /// Begins a request to a client.
  ///
  /// - Parameters:
  ///   - opaque: a number of ours, which the client's response would repeat.
  ///   - serialization: that of the client's own requests.
  public init(
    request code: RequestCode, opaque: Int32, isOneWay: Bool, serialization: RemotingSerialization,
    _ buffer: inout ByteBuffer
  ) {
    self.init(
      code: code.rawValue, serialization: serialization, language: Self.language, version: Self.version, opaque: opaque,
      flag: isOneWay ? RemotingHeader.oneWayBit : 0, remark: nil, namesSerialization: true, &buffer)
  }

  /// Begins a copy of a header that was read; its fields are to be written one by one.
  ///
  /// - Parameter namesSerialization: whether a JSON header has the member `serializeTypeCurrentRPC`.
  package init(copyOf header: RemotingHeader, namesSerialization: Bool, _ buffer: inout ByteBuffer) {
    self.init(
      code: header.code, serialization: header.serialization, language: header.language, version: header.version,
      opaque: header.opaque, flag: header.flag, remark: header.remark.map { String(decoding: $0, as: UTF8.self) },
      namesSerialization: namesSerialization, &buffer)
  }

  private init(
    code: Int32, serialization: RemotingSerialization, language: LanguageCode, version: Int32, opaque: Int32,
    flag: Int32, remark: String?, namesSerialization: Bool, _ buffer: inout ByteBuffer
  ) {
    self.serialization = serialization
    self.language = language
    self.version = version
    self.opaque = opaque
    self.flag = flag
    self.remark = remark.map(Self.cut)
    self.namesSerialization = namesSerialization
    start = buffer.count
    buffer.append(bigEndian: UInt64(0))
    switch serialization {
    case .json:
      buffer.append("{\"code\":")
      buffer.appendInteger(Int64(code))
    case .binary: beginBinary(code, &buffer)
    }
  }

  private mutating func beginBinary(_ code: Int32, _ buffer: inout ByteBuffer) {
    buffer.append(bigEndian: Int16(truncatingIfNeeded: code))
    buffer.append(byte: language.rawValue)
    buffer.append(bigEndian: Int16(truncatingIfNeeded: version))
    buffer.append(bigEndian: opaque)
    buffer.append(bigEndian: flag)
    buffer.append(bigEndian: Int32(remark?.utf8.count ?? 0))
    if let remark { buffer.append(text: remark) }
    fieldsAt = buffer.count
    buffer.append(bigEndian: Int32(0))
  }

  private static func cut(_ remark: String) -> String {
    var text = remark
    guard text.utf8.count > remarkBytesMax else { return text }
    text = ""
    var room = remarkBytesMax
    for character in remark.unicodeScalars {
      room -= UTF8.width(character)
      if room < 0 { break }
      text.unicodeScalars.append(character)
    }
    return text
  }

  // MARK: fields

  /// Adds a field. The value is valid UTF-8.
  public mutating func field(_ name: StaticString, _ value: UnsafeRawBufferPointer, _ buffer: inout ByteBuffer) {
    field(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), value, isString: true, &buffer)
  }

  /// Adds a field.
  public mutating func field(_ name: StaticString, _ value: String, _ buffer: inout ByteBuffer) {
    var value = value
    value.withUTF8 { field(name, UnsafeRawBufferPointer($0), &buffer) }
  }

  /// Adds a field that is a number, written as text.
  public mutating func field(_ name: StaticString, _ value: Int64, _ buffer: inout ByteBuffer) {
    beginField(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount), &buffer)
    switch serialization {
    case .json:
      buffer.append("\"")
      buffer.appendInteger(value)
      buffer.append("\"")
    case .binary:
      let lengthAt = buffer.count
      buffer.append(bigEndian: Int32(0))
      buffer.appendInteger(value)
      buffer.set(bigEndian: Int32(buffer.count - lengthAt - 4), at: lengthAt)
    }
  }

  /// Adds a field as it was read.
  package mutating func field(copyOf field: ExtField, _ buffer: inout ByteBuffer) {
    self.field(field.name, field.value, isString: field.isString, &buffer)
  }

  private mutating func field(
    _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, isString: Bool, _ buffer: inout ByteBuffer
  ) {
    beginField(name, &buffer)
    switch serialization {
    case .json: if isString { buffer.appendJSONString(value) } else { buffer.append(value) }
    case .binary:
      buffer.append(bigEndian: Int32(value.count))
      buffer.append(value)
    }
  }

  private mutating func beginField(_ name: UnsafeRawBufferPointer, _ buffer: inout ByteBuffer) {
    switch serialization {
    case .json:
      if hasFields { buffer.append(",") } else { buffer.append(",\"extFields\":{") }
      buffer.appendJSONString(name)
      buffer.append(":")
    case .binary:
      buffer.append(bigEndian: Int16(name.count))
      buffer.append(name)
    }
    hasFields = true
  }

  // MARK: ends

  /// Ends the header; what is appended to the buffer from here on is the body.
  public mutating func endHeader(_ buffer: inout ByteBuffer) {
    closeHeader(&buffer)
    measureHeader(&buffer)
  }

  /// Writes what stands behind the fields.
  package mutating func closeHeader(_ buffer: inout ByteBuffer) {
    switch serialization {
    case .json:
      if hasFields { buffer.append("}") }
      buffer.append(",\"flag\":")
      buffer.appendInteger(Int64(flag))
      buffer.append(",\"language\":\"")
      buffer.append(language.name)
      buffer.append("\",\"opaque\":")
      buffer.appendInteger(Int64(opaque))
      if let remark {
        buffer.append(",\"remark\":")
        buffer.appendJSONString(remark)
      }
      if namesSerialization { buffer.append(",\"serializeTypeCurrentRPC\":\"JSON\"") }
      buffer.append(",\"version\":")
      buffer.appendInteger(Int64(version))
      buffer.append("}")
    case .binary: buffer.set(bigEndian: Int32(buffer.count - fieldsAt - 4), at: fieldsAt)
    }
  }

  /// Writes the length of the header into its place: all that stands behind it now is the header.
  package mutating func measureHeader(_ buffer: inout ByteBuffer) {
    let headerBytes = buffer.count - start - 8
    precondition(headerBytes < 1 << 24, "a header of ours is some names and numbers, far below 16 MiB")
    buffer.set(bigEndian: UInt32(serialization.rawValue) << 24 | UInt32(headerBytes), at: start + 4)
  }

  /// Ends the frame.
  public consuming func end(_ buffer: inout ByteBuffer) {
    buffer.set(bigEndian: Int32(buffer.count - start - 4), at: start)
  }
}
