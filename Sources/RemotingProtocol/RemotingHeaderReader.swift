// Reads headers, JSON and binary, into one form.
//
// Holds: everything in a header is valid UTF-8 and within its frame; numbers fit their types. A header has at most
// `fieldsMax` extension fields, which no client comes near. Made once and used for every frame; allocates nothing in steady
// state.
// Leaves to others: which fields a request has.

import LineProtocol
import Primitives

/// A reusable reader of headers. Not for use by two threads at a time.
public final class RemotingHeaderReader {
  /// The most extension fields that a header may have.
  public static let fieldsMax = 64

  private let json = JSONReader()
  private let fields = UnsafeMutablePointer<ExtField>.allocate(capacity: fieldsMax)

  /// Makes a reader; about 10 KiB.
  public init() {}

  deinit { fields.deallocate() }

  /// Reads the header of a frame. What earlier calls gave is no longer good.
  ///
  /// - Throws: `malformedHeader`. The request's number is not known then, so that it cannot be answered.
  /// - Complexity: O(header).
  public func read(_ frame: RemotingFrame) throws(RemotingError) -> RemotingHeader {
    switch frame.serialization {
    case .json: try readJSON(frame.header)
    case .binary: try readBinary(frame.header)
    }
  }

  // MARK: JSON

  // Members of the header object; what is missing reads as zero.
  private struct Members {
    var code: Int32?
    var language = LanguageCode.other
    var version: Int32 = 0
    var opaque: Int32 = 0
    var flag: Int32 = 0
    var remark: UnsafeRawBufferPointer?
    var fieldCount = 0
  }

  private func readJSON(_ text: UnsafeRawBufferPointer) throws(RemotingError) -> RemotingHeader {
    let value: JSONValue
    do throws(JSONError) { value = try json.parse(text) } catch { throw .malformedHeader("\(error)") }
    guard var cursor = value.object() else { throw .malformedHeader("it is not a JSON object") }
    var members = Members()
    while let (key, value) = cursor.next() { try take(key, value, &members) }
    guard let code = members.code else { throw .malformedHeader("'code' is missing") }
    return RemotingHeader(
      serialization: .json, code: code, language: members.language, version: members.version, opaque: members.opaque,
      flag: members.flag, remark: members.remark, fields: extFields(members.fieldCount))
  }

  private func take(_ key: UnsafeRawBufferPointer, _ value: JSONValue, _ members: inout Members) throws(RemotingError) {
    if key.equals("code") {
      members.code = try int32(value, "code")
    } else if key.equals("extFields") {
      members.fieldCount = try readFields(value)
    } else if key.equals("flag") {
      members.flag = try int32(value, "flag")
    } else if key.equals("opaque") {
      members.opaque = try int32(value, "opaque")
    } else if key.equals("version") {
      members.version = try int32(value, "version")
    } else if key.equals("language") {
      members.language = value.string().map { LanguageCode(name: $0) } ?? .other
    } else if key.equals("remark"), value.kind != .null {
      guard let text = value.string() else { throw .malformedHeader("'remark' is not a string") }
      members.remark = text
    }
    // `serializeTypeCurrentRPC` repeats what the frame says, and newer clients may add members.
  }

  private func int32(_ value: JSONValue, _ name: StaticString) throws(RemotingError) -> Int32 {
    guard value.kind == .number, let number = value.raw.decimal(Int32.self) else {
      throw .malformedHeader("'\(name)' is not an integer of 32 bits")
    }
    return number
  }

  private func readFields(_ value: JSONValue) throws(RemotingError) -> Int {
    if value.kind == .null { return 0 }
    guard var cursor = value.object() else { throw .malformedHeader("'extFields' is not an object") }
    var count = 0
    while let (name, value) = cursor.next() {
      switch value.kind {
      case .string: try note(ExtField(name: name, value: value.string()!, isString: true), &count)
      case .number, .true, .false: try note(ExtField(name: name, value: value.raw, isString: false), &count)
      case .null: continue
      case .object, .array: throw .malformedHeader("a field is neither a string nor a number")
      }
    }
    return count
  }

  // MARK: binary

  //   0 i16 code      3 i16 version   9 i32 flag                  i32 length of the fields: for each
  //   2 u8  language  5 i32 opaque   13 i32 length of the remark    i16 length of the name, name
  //                                  17 remark                      i32 length of the value, value
  private func readBinary(_ bytes: UnsafeRawBufferPointer) throws(RemotingError) -> RemotingHeader {
    var reader = ByteReader(bytes)
    let code = reader.number(Int16.self)
    let language = LanguageCode(rawValue: reader.number(UInt8.self)) ?? .other
    let version = reader.number(Int16.self)
    let opaque = reader.number(Int32.self)
    let flag = reader.number(Int32.self)
    let remark = reader.take(reader.number(Int32.self))
    var pairs = ByteReader(reader.take(reader.number(Int32.self)))
    var count = 0
    while pairs.left > 0, !pairs.isBroken {
      let name = pairs.take(pairs.number(Int16.self))
      let value = pairs.take(pairs.number(Int32.self))
      guard isValidUTF8(name), isValidUTF8(value) else { throw .malformedHeader("a field is not UTF-8") }
      try note(ExtField(name: name, value: value, isString: true), &count)
    }
    guard !reader.isBroken, !pairs.isBroken else { throw .malformedHeader("it ends too early") }
    guard reader.left == 0 else { throw .malformedHeader("there is something after the fields") }
    guard isValidUTF8(remark) else { throw .malformedHeader("the remark is not UTF-8") }
    return RemotingHeader(
      serialization: .binary, code: Int32(code), language: language, version: Int32(version), opaque: opaque,
      flag: flag,
      remark: remark.isEmpty ? nil : remark, fields: extFields(count))
  }

  private func note(_ field: ExtField, _ count: inout Int) throws(RemotingError) {
    guard count < Self.fieldsMax else { throw .malformedHeader("it has more than \(Self.fieldsMax) fields") }
    (fields + count).initialize(to: field)
    count += 1
  }

  private func extFields(_ count: Int) -> ExtFields { ExtFields(UnsafeBufferPointer(start: fields, count: count)) }
}
