// Members of a JSON object in a body, by name and type.
//
// Leaves to others: speed. A look-up walks through the object; the bodies read this way are short and rare.

import LineProtocol
import Primitives

/// One object.
struct BodyObject {
  private let value: JSONValue

  init(_ body: UnsafeRawBufferPointer, _ reader: JSONReader) throws(RemotingError) {
    let value: JSONValue
    do throws(JSONError) { value = try reader.parse(body) } catch { throw .malformedBody("\(error)") }
    guard value.kind == .object else { throw .malformedBody("it is not a JSON object") }
    self.value = value
  }

  private init(object value: JSONValue) { self.value = value }

  // A member that is null is not there.
  private func member(_ name: StaticString) -> JSONValue? {
    var cursor = value.object()!
    while let (key, value) = cursor.next() {
      if key.equals(name) { return value.kind == .null ? nil : value }
    }
    return nil
  }

  func optionalString(_ name: StaticString) throws(RemotingError) -> String? {
    guard let value = member(name) else { return nil }
    guard let text = value.string() else { throw .malformedBody("'\(name)' is not a string") }
    return String(decoding: text, as: UTF8.self)
  }

  func string(_ name: StaticString) throws(RemotingError) -> String {
    guard let text = try optionalString(name) else { throw .malformedBody("'\(name)' is missing") }
    return text
  }

  /// An integer, which some clients write as a string; 0 when it is not there.
  func integer(_ name: StaticString) throws(RemotingError) -> Int64 {
    guard let value = member(name) else { return 0 }
    guard let number = (value.string() ?? value.raw).decimal(Int64.self) else {
      throw .malformedBody("'\(name)' is not an integer of 64 bits")
    }
    return number
  }

  /// One of an enumeration, by name or by number.
  func choice<Choice: RawRepresentable<Int64>>(
    _ name: StaticString, _ names: KeyValuePairs<StaticString, Choice>
  ) throws(RemotingError) -> Choice? {
    guard let value = member(name) else { return nil }
    if let number = value.integer(), let choice = Choice(rawValue: number) { return choice }
    if let text = value.string() {
      for (choiceName, choice) in names where text.equals(choiceName) { return choice }
    }
    throw .malformedBody("'\(name)' has a value that is not known")
  }

  /// An object; nil when it is not there.
  func object(_ name: StaticString) throws(RemotingError) -> BodyObject? {
    guard let value = member(name) else { return nil }
    guard value.kind == .object else { throw .malformedBody("'\(name)' is not an object") }
    return BodyObject(object: value)
  }

  /// What `read` makes of each object of an array; empty when the array is not there.
  func objects<Element>(
    _ name: StaticString, _ read: (BodyObject) throws(RemotingError) -> Element
  ) throws(RemotingError) -> [Element] {
    guard let value = member(name) else { return [] }
    guard var cursor = value.array() else { throw .malformedBody("'\(name)' is not an array") }
    var elements: [Element] = []
    while let element = cursor.next() {
      guard element.kind == .object else { throw .malformedBody("'\(name)' has something in it that is not an object") }
      elements.append(try read(BodyObject(object: element)))
    }
    return elements
  }
}
