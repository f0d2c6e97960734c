// Whole JSON texts: the rules are the scanner's, which has its own tests; here the edges around it.

import LineProtocol
import Primitives
import Testing

@Suite("JSON documents")
struct JSONDocumentTests {
  private func members(_ text: String) throws -> [String] {
    let document = try text.withBytes { (bytes) throws(JSONDocument.Fault) in try JSONDocument(bytes) }
    return document.withMembers { members in
      var found: [String] = []
      while let (key, value) = members.next() {
        found.append(String(decoding: key, as: UTF8.self) + "=" + String(decoding: value.raw, as: UTF8.self))
      }
      return found
    }
  }

  @Test(
    "members come in the order of the text, whatever white space is around",
    arguments: [
      ("{}", []), (" \n{ }\r\n\t", []), (#"{"b":1,"a":[1, {"x":"}"}]}"#, ["b=1", #"a=[1, {"x":"}"}]"#]),
      ("\n{\n \"\\u0061\" :\n null }", ["a=null"]),
    ])
  func good(_ text: String, _ expected: [String]) throws {
    #expect(try members(text) == expected)
    #expect(try members(text) == members(text + " "))
  }

  @Test(
    "a fault is named with its line and byte",
    arguments: [
      ("", 1, 1), ("\n\n", 3, 1), ("[]", 1, 1), ("\n {\"a\":x}", 2, 7), ("{}\n{}", 2, 1), ("{\"a\":1", 1, 7),
      ("{\"a\":1,\n\"a\":2}", 2, 1), ("{\"a\":\"\n\"}", 1, 7),
    ])
  func bad(_ text: String, _ line: Int, _ column: Int) {
    #expect { try members(text) } throws: { error in
      guard let fault = error as? JSONDocument.Fault else { return false }
      return fault.line == line && fault.column == column && !fault.reason.isEmpty
    }
  }
}
