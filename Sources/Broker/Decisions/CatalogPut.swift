// A value was kept in the catalog under a name.
//
//    0  u32    bytes of the name
//    4  bytes  name
//       bytes  value, up to the end

import Primitives

/// The decision to keep a value in the catalog. A view of the name's and the value's bytes.
struct CatalogPut: Decision {
  static let kind = DecisionKind.catalogPut
  let name: UnsafeRawBufferPointer
  let value: UnsafeRawBufferPointer

  var byteCount: Int { 4 + name.count + value.count }

  func encode(to payload: inout PayloadWriter) {
    payload.write(UInt32(name.count))
    payload.write(name)
    payload.write(value)
  }
}

extension CatalogPut {
  init(decoding payload: UnsafeRawBufferPointer) {
    var reader = PayloadReader(payload)
    name = reader.read(bytes: Int(reader.read(UInt32.self)))
    value = reader.rest
  }
}
