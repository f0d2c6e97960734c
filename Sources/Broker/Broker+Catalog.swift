// The catalog: small values by name that front ends keep with the broker's state, through crashes, for what they have to
// know besides messages (their declarations).

import Foundations

extension Broker {
  /// Keeps a value under a name, in place of the one that was there. Durable with the turn's records.
  public func putInCatalog(_ name: String, _ value: [UInt8]) {
    records.begin(Decision.catalogPut.rawValue)
    records.append(UInt32(name.utf8.count))
    name.withBytes { records.append(bytes: $0) }
    value.withBytes { records.append(bytes: $0) }
    records.finish()
    catalog[name] = value
  }

  /// Forgets a name; nothing happens when it is not there.
  public func removeFromCatalog(_ name: String) {
    guard catalog.removeValue(forKey: name) != nil else { return }
    records.begin(Decision.catalogRemoved.rawValue)
    name.withBytes { records.append(bytes: $0) }
    records.finish()
  }
}
