// The statuses of HTTP that docs/protocol.md gives for the error codes, against the code.

import LineProtocol
import Testing

@testable import Server

@Suite("statuses of HTTP")
struct StatusTests {
  @Test("each error code has the status that the page gives for it", arguments: WireError.allCases)
  func status(_ code: WireError) throws {
    let rows = try Repository.text("docs/protocol.md").split(separator: "\n").filter { row in
      row.hasPrefix("| \(code.httpStatus.rawValue) |") && row.contains("`\(code.rawValue)`")
    }
    #expect(rows.count == 1, "\(code.rawValue) is \(code.httpStatus.rawValue)")
  }
}
