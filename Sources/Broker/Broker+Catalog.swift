// The catalog: small values by name that front ends keep with the broker's state, through crashes, for what they have to
// know besides messages (their declarations).
//
// Names are bytes: Swift's strings hold two spellings of `é` for equal, which two names in the catalog are not.

import Primitives

extension Broker {
  /// Keeps a value under a name, in place of the one that was there. Durable with the turn's records.
  public func putInCatalog(_ name: [UInt8], _ value: [UInt8]) {
    records.begin(Decision.catalogPut.rawValue)
    records.append(UInt32(name.count))
    name.withUnsafeBytes { records.append(bytes: $0) }
    value.withUnsafeBytes { records.append(bytes: $0) }
    records.finish()
    catalog[name] = value
  }

  /// Forgets a name; nothing happens when it is not there.
  public func removeFromCatalog(_ name: [UInt8]) {
    guard catalog.removeValue(forKey: name) != nil else { return }
    records.begin(Decision.catalogRemoved.rawValue)
    name.withUnsafeBytes { records.append(bytes: $0) }
    records.finish()
  }
}
