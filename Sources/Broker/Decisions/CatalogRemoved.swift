// A name was removed from the catalog.
//
//    0  bytes  name, up to the end

import Primitives

/// The decision to remove a name from the catalog. A view of the name's bytes.
struct CatalogRemoved: Decision {
  static let kind = DecisionKind.catalogRemoved
  let name: UnsafeRawBufferPointer

  var byteCount: Int { name.count }

  func encode(to payload: inout PayloadWriter) { payload.write(name) }
}

extension CatalogRemoved {
  init(decoding payload: UnsafeRawBufferPointer) { name = payload }
}
