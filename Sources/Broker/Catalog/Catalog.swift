// The catalog: small values by name that front ends keep with the broker's state, through crashes, for what they have to
// know besides messages (their declarations).
//
// Holds: names are bytes, because Swift's strings hold two spellings of `é` for equal, which two names in the catalog are not.
// Leaves to others: what names and values mean (the front ends).

import Primitives

/// Values by name.
public final class Catalog {
  /// The values.
  public private(set) var entries: [[UInt8]: [UInt8]] = [:]

  init() {}

  /// The value of a name; nil when it has none. O(bytes of the name).
  public subscript(name: [UInt8]) -> [UInt8]? { entries[name] }

  func apply(_ put: CatalogPut) { entries[Array(put.name)] = Array(put.value) }

  func apply(_ removed: CatalogRemoved) { entries[Array(removed.name)] = nil }
}

// MARK: State

extension Catalog {
  /// The entries by name: the same state gives the same bytes and the same digest.
  private var inOrder: [(key: [UInt8], value: [UInt8])] {
    entries.sorted { $0.key.lexicographicallyPrecedes($1.key) }
  }

  /// Bytes in a checkpoint: u32 n: name, value; each as u32 count and bytes.
  func write(to writer: inout StateWriter) {
    writer.write(UInt32(entries.count))
    for (name, value) in inOrder {
      name.withUnsafeBytes { writer.write($0) }
      value.withUnsafeBytes { writer.write($0) }
    }
  }

  /// What a checkpoint says of the catalog.
  struct State {
    var entries: [[UInt8]: [UInt8]] = [:]

    init() {}

    init(_ reader: inout StateReader) throws(CheckpointFault) {
      for _ in 0..<(try reader.read(UInt32.self)) {
        let name = try reader.readBytes()
        entries[name] = try reader.readBytes()
      }
    }
  }

  func recover(_ state: State) { entries = state.entries }

  func digest(into lines: inout [String]) {
    for (name, value) in inOrder {
      lines.append("catalog \(String(decoding: name, as: UTF8.self)) \(String(decoding: value, as: UTF8.self))")
    }
  }
}

// MARK: Commands

extension Broker {
  /// Keeps a value under a name, in place of the one that was there. Durable with the turn's records.
  public func putInCatalog(_ name: [UInt8], _ value: [UInt8]) {
    name.withUnsafeBytes { name in
      value.withUnsafeBytes { value in catalog.apply(turn.write(CatalogPut(name: name, value: value))) }
    }
  }

  /// Removes a name; nothing happens when it is not there.
  public func removeFromCatalog(_ name: [UInt8]) {
    guard catalog[name] != nil else { return }
    name.withUnsafeBytes { catalog.apply(turn.write(CatalogRemoved(name: $0))) }
  }
}
