// A header put among properties as AMQP writes them, without reading what the others say.
//
// Leaves to others: a header of that name that is there already (Envelope).

import AMQPProtocol
import Primitives

extension ByteBuffer {
  // The flags of the properties in front of the headers, and of the headers.
  private static var contentType: UInt16 { 1 << 15 }
  private static var contentEncoding: UInt16 { 1 << 14 }
  private static var headers: UInt16 { 1 << 13 }

  /// Appends properties with one header more, an integer at the end of the table. O(bytes), no allocation.
  ///
  /// - Parameter properties: flags and values, well formed.
  /// - Returns: false, with nothing appended, when there is a header of this name.
  mutating func append(
    _ properties: UnsafeRawBufferPointer, withHeader name: StaticString, _ value: Int64
  ) -> Bool {
    let flags = UInt16(bigEndian: properties.loadUnaligned(as: UInt16.self))
    var place = 2
    if flags & Self.contentType != 0 { place += 1 + Int(properties[place]) }
    if flags & Self.contentEncoding != 0 { place += 1 + Int(properties[place]) }
    var table = UnsafeRawBufferPointer(rebasing: properties[place..<place])
    if flags & Self.headers != 0 {
      let bytes = Int(UInt32(bigEndian: properties.loadUnaligned(fromByteOffset: place, as: UInt32.self)))
      table = UnsafeRawBufferPointer(rebasing: properties[(place + 4)..<(place + 4 + bytes)])
      for field in FieldTable(table).fields where field.isNamed(name) { return false }
    }
    let fieldBytes = 1 + name.utf8CodeUnitCount + 1 + 8
    append(bigEndian: flags | Self.headers)
    append(UnsafeRawBufferPointer(rebasing: properties[2..<place]))
    append(bigEndian: UInt32(table.count + fieldBytes))
    append(table)
    append(byte: UInt8(name.utf8CodeUnitCount))
    append(name)
    append(byte: FieldType.int64.rawValue)
    append(bigEndian: value)
    let rest = place + (flags & Self.headers != 0 ? 4 + table.count : 0)
    append(UnsafeRawBufferPointer(rebasing: properties[rest...]))
    return true
  }

  mutating func append<Number: FixedWidthInteger>(bigEndian number: Number) {
    withUnsafeBytes(of: number.bigEndian) { append($0) }
  }
}
