// Headers as JSON text: an object of strings, to which the broker adds its own.
//
// Leaves to others: validation; what comes in here was validated when the message was accepted.

/// Reading and writing headers as they are kept.
public enum HeaderText {
  /// The object `headers` (or none) with `additions` in place of fields of the same names. Names and values of the additions
  /// are as they stand between the quotes of a JSON string.
  public static func merged(
    _ headers: UnsafeRawBufferPointer, _ additions: [(name: String, value: String)], leavingOut: [String] = []
  ) -> [UInt8] {
    let replaced = additions.map(\.name) + leavingOut
    var text: [UInt8] = [UInt8(ascii: "{")]
    forEachField(headers) { field, name, _ in
      guard !replaced.contains(where: { $0.utf8.elementsEqual(name) }) else { return }
      if text.count > 1 { text.append(UInt8(ascii: ",")) }
      text.append(contentsOf: field)
    }
    for (name, value) in additions {
      if text.count > 1 { text.append(UInt8(ascii: ",")) }
      text.append(contentsOf: "\"\(name)\":\"\(value)\"".utf8)
    }
    text.append(UInt8(ascii: "}"))
    return text
  }

  /// The object `headers` without the fields of these names; empty when nothing remains.
  static func without(_ headers: UnsafeRawBufferPointer, _ names: [String]) -> [UInt8] {
    let text = merged(headers, [], leavingOut: names)
    return text.count > 2 ? text : []
  }

  /// Calls `body` with each field's text and, within it, what stands between the quotes of its name and of its value.
  public static func forEachField(
    _ headers: UnsafeRawBufferPointer,
    _ body: (_ field: UnsafeRawBufferPointer, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void
  ) {
    var place = 0
    while let name = nextString(headers, &place), let value = nextString(headers, &place) {
      let field = UnsafeRawBufferPointer(rebasing: headers[name.lowerBound - 1..<value.upperBound + 1])
      body(
        field, UnsafeRawBufferPointer(rebasing: headers[name]), UnsafeRawBufferPointer(rebasing: headers[value]))
    }
  }

  /// The inside of the next quoted string; moves `place` behind it.
  private static func nextString(_ text: UnsafeRawBufferPointer, _ place: inout Int) -> Range<Int>? {
    let quote = UInt8(ascii: "\"")
    while place < text.count, text[place] != quote { place += 1 }
    let start = place + 1
    place = start
    while place < text.count, text[place] != quote { place += text[place] == UInt8(ascii: "\\") ? 2 : 1 }
    guard place < text.count else { return nil }
    place += 1
    return start..<place - 1
  }
}
