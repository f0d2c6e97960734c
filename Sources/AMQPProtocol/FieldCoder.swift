// The fields of a method or of a list of properties, one after another. One description of the fields serves for reading,
// for measuring and for writing, so that the three cannot disagree.
//
// Holds: reading never leaves the bytes it was given; what goes wrong is remembered and everything after it reads as
// nothing, so that a description needs no checks of its own. Nothing is copied: what was read are views of the bytes.
// Leaves to others: which fields there are (MethodFields, BasicProperties), the memory (the caller).

import Glibc

/// A walk through fields, in one of three modes.
public struct FieldCoder {
  enum Mode { case reading, measuring, writing }

  let mode: Mode
  // In reading it is never written through.
  private let base: UnsafeMutableRawPointer?
  private let limit: Int
  private var offset = 0
  private var isBroken = false
  // Bits taken from the octet before `offset`; 8 when the next bit begins an octet of its own.
  private var bitsTaken = 8
  // Property flags, and the flag of the next property.
  private var flags: UInt16 = 0
  private var flag: UInt16 = 0

  private init(_ mode: Mode, _ base: UnsafeMutableRawPointer?, _ limit: Int) {
    self.mode = mode
    self.base = base
    self.limit = limit
  }

  /// Reads `bytes`, which must live as long as what was read.
  public init(reading bytes: UnsafeRawBufferPointer) {
    self.init(.reading, UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
  }

  /// Only counts bytes.
  public static var measuring: FieldCoder { FieldCoder(.measuring, nil, .max) }

  /// Writes exactly `count` bytes, as measured before, to `place`.
  public init(writing place: UnsafeMutableRawPointer, count: Int) { self.init(.writing, place, count) }

  /// Bytes walked through.
  public var count: Int { offset }

  /// Whether every field was well formed and nothing is left behind the last one.
  public var isDone: Bool { !isBroken && offset == limit }

  // MARK: fields of methods

  mutating func number<Number: FixedWidthInteger>(_ value: inout Number) {
    guard let place = take(MemoryLayout<Number>.size) else { return }
    if mode == .reading {
      value = Number(bigEndian: place.loadUnaligned(as: Number.self))
    } else {
      place.storeBytes(of: value.bigEndian, as: Number.self)
    }
  }

  /// A bit; bits that follow each other share octets, the first in the lowest place.
  mutating func bit(_ value: inout Bool) {
    if bitsTaken == 8 {
      let place = take(1)
      if mode == .writing { place?.storeBytes(of: 0, as: UInt8.self) }
      bitsTaken = 0
    }
    if let base, !isBroken {
      let octet = base.load(fromByteOffset: offset - 1, as: UInt8.self)
      if mode == .reading {
        value = octet >> bitsTaken & 1 == 1
      } else if value {
        base.storeBytes(of: octet | 1 << bitsTaken, toByteOffset: offset - 1, as: UInt8.self)
      }
    }
    bitsTaken += 1
  }

  /// A name or text of up to 255 bytes, in UTF-8.
  mutating func shortString(_ value: inout UnsafeRawBufferPointer) {
    run(&value, UInt8.self)
    if mode == .reading, !value.isUTF8 { isBroken = true }
  }

  mutating func longString(_ value: inout UnsafeRawBufferPointer) { run(&value, UInt32.self) }

  /// A table; what is not well formed is refused here, so that nobody has to look again.
  mutating func table(_ value: inout FieldTable) {
    var bytes = value.bytes
    run(&bytes, UInt32.self)
    guard mode == .reading else { return }
    value = FieldTable(bytes)
    if !value.isWellFormed { isBroken = true }
  }

  /// The `ticket` of old, which is ignored.
  mutating func reservedShort() {
    var ticket: UInt16 = 0
    number(&ticket)
  }

  // MARK: properties

  /// The flags that say which properties follow; before the first property.
  mutating func propertyFlags() {
    var word: UInt16 = 0
    number(&word)
    flags = word
    flag = 1 << 15
    // The two lowest bits would name a property and a further word of flags that do not exist.
    if flags & 3 != 0 { isBroken = true }
  }

  /// A string property: any bytes, as RabbitMQ takes them.
  mutating func property(_ value: inout UnsafeRawBufferPointer?) {
    code(&value, UnsafeRawBufferPointer.none) { $0.run(&$1, UInt8.self) }
  }
  mutating func property(_ value: inout FieldTable?) { code(&value, FieldTable.empty) { $0.table(&$1) } }
  mutating func property<Number: FixedWidthInteger>(_ value: inout Number?) { code(&value, 0) { $0.number(&$1) } }

  private mutating func code<Value>(
    _ value: inout Value?, _ start: Value, _ field: (inout FieldCoder, inout Value) -> Void
  ) {
    defer { flag >>= 1 }
    guard mode == .reading ? flags & flag != 0 : value != nil else { return }
    if mode == .writing {
      flags |= flag
      base?.storeBytes(of: flags.bigEndian, as: UInt16.self)
    }
    var present = value ?? start
    field(&self, &present)
    if mode == .reading { value = present }
  }

  // MARK: bytes

  private mutating func run<Length: FixedWidthInteger>(_ value: inout UnsafeRawBufferPointer, _: Length.Type) {
    precondition(
      mode == .reading || value.count <= Length.max, "what we send was cut to the length that its field can have")
    var length = mode == .reading ? 0 : Length(value.count)
    number(&length)
    guard let place = take(Int(length)) else {
      if mode == .reading { value = .none }
      return
    }
    if mode == .reading {
      value = UnsafeRawBufferPointer(start: place, count: Int(length))
    } else if let start = value.baseAddress {
      memcpy(place, start, value.count)
    }
  }

  // The next `count` bytes; nil in measuring and when they are not there.
  private mutating func take(_ count: Int) -> UnsafeMutableRawPointer? {
    bitsTaken = 8
    guard mode != .measuring else {
      offset += count
      return nil
    }
    guard let base, count <= limit - offset else {
      precondition(mode == .reading, "what is written is what was measured")
      isBroken = true
      offset = limit
      return nil
    }
    defer { offset += count }
    return base + offset
  }
}

extension UnsafeRawBufferPointer {
  /// No bytes.
  public static var none: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }

  var isUTF8: Bool {
    let octets = UnsafeBufferPointer(start: baseAddress?.assumingMemoryBound(to: UInt8.self), count: count)
    do {
      _ = try UTF8Span(validating: octets.span)
      return true
    } catch {
      return false
    }
  }
}
