// Methods on the wire: cut from a frame's payload, written as frames.
//
// Holds: decoding checks every field and that nothing is left over; it allocates nothing and gives views of the frame.
// Leaves to others: the fields of each method (Methods+*.swift), frames (FrameReader), order of frames (FrameOrder).

import Glibc
import Primitives

/// The fields of one method: a struct that names them, and one walk through them in the order of the wire.
public protocol MethodFields {
  /// Which method it is.
  static var method: Method { get }
  /// With every field empty, zero or false.
  init()
  /// Walks through the fields; reserved ones are walked through and not kept.
  mutating func code(_ fields: inout FieldCoder)
}

extension MethodFields {
  /// Makes a method and sets its fields.
  @inlinable public init(_ set: (inout Self) -> Void) {
    self.init()
    set(&self)
  }
}

/// A method as it came: which one, and its fields still in the bytes of the frame.
public struct MethodFrame {
  /// Which method.
  public let method: Method
  /// Its fields; good as long as the frame.
  public let fields: UnsafeRawBufferPointer

  /// Reads the payload of a method frame.
  ///
  /// - Throws: 501 when it is too short, 540 when no such method is known.
  public init(_ payload: UnsafeRawBufferPointer) throws(AMQPFault) {
    guard payload.count >= 4 else {
      throw AMQPFault(.frameError, "a method frame has at least 4 octets, not \(payload.count)")
    }
    let classID = payload.number(0, UInt16.self)
    let methodID = payload.number(2, UInt16.self)
    guard let method = Method(classID: classID, methodID: methodID) else {
      throw AMQPFault(.notImplemented, "unknown method \(methodID) of class \(classID)")
    }
    self.method = method
    fields = UnsafeRawBufferPointer(rebasing: payload[4...])
  }

  /// The fields.
  ///
  /// - Precondition: they are those of this method.
  /// - Throws: 502 when they are not well formed.
  @inlinable public func decode<Fields: MethodFields>(_: Fields.Type = Fields.self) throws(AMQPFault) -> Fields {
    precondition(Fields.method == method, "a method is decoded as what it is")
    var decoded = Fields()
    var coder = FieldCoder(reading: fields)
    decoded.code(&coder)
    guard coder.isDone else { throw malformed }
    return decoded
  }

  /// Checks the end of a method that has no fields, or only reserved ones, for example `tx.select` or `channel.open`.
  ///
  /// - Throws: 502 when something else is there.
  public func checkNoFields() throws(AMQPFault) {
    var coder = FieldCoder(reading: fields)
    var reserved = UnsafeRawBufferPointer.none
    switch method.reservedField {
    case .none: break
    case .shortString: coder.shortString(&reserved)
    case .longString: coder.longString(&reserved)
    }
    guard coder.isDone else { throw malformed }
  }

  /// The refusal of a method that has no place here: one that only servers send, or in the wrong state.
  public var outOfPlace: AMQPFault { AMQPFault(.commandInvalid, "\(method.name) has no place here", method: method) }

  @usableFromInline var malformed: AMQPFault {
    AMQPFault(.syntaxError, "the fields of \(method.name) are malformed", method: method)
  }
}

extension ByteBuffer {
  /// Appends a method as one frame.
  ///
  /// - Precondition: short strings are at most 255 bytes.
  @inlinable public mutating func append<Fields: MethodFields>(_ fields: Fields, channel: UInt16) {
    var fields = fields
    let count = Self.measure(&fields)
    var coder = FieldCoder(writing: appendMethod(Fields.method, channel: channel, fieldBytes: count), count: count)
    fields.code(&coder)
  }

  /// Appends a method that has no fields, for example `tx.commit-ok`, as one frame.
  public mutating func append(_ method: Method, channel: UInt16) {
    let count = method.reservedField.lengthBytes
    memset(appendMethod(method, channel: channel, fieldBytes: count), 0, count)
  }

  @inlinable static func measure<Fields: MethodFields>(_ fields: inout Fields) -> Int {
    var coder = FieldCoder.measuring
    fields.code(&coder)
    return coder.count
  }

  // A method frame whose fields are still to be written, where the result says.
  @usableFromInline mutating func appendMethod(
    _ method: Method, channel: UInt16, fieldBytes: Int
  ) -> UnsafeMutableRawPointer {
    let payload = appendFrame(.method, channel: channel, payloadBytes: 4 + fieldBytes)
    payload.store(method.classID, 0)
    payload.store(method.methodID, 2)
    return payload + 4
  }
}
