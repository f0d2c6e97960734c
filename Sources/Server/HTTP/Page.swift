// The page at `/`, put together of the files in `Page`, which the build keeps in the program.
//
// Holds: the policy lets nothing run, and nothing be fetched, but this very style and script, and requests to this server.
// Leaves to others: who may have it (HTTPSession), what it asks for (the operations of the line protocol).

import Access
import LineProtocol
import Primitives

/// The page that shows the server to people.
enum Page {
  /// The page of a server of its own, in UTF-8.
  static let html = page(of: "alone")
  /// The page of a node of a cluster, in UTF-8.
  static let htmlOfNode = page(of: "node")

  private static func page(of server: String) -> [UInt8] {
    let text = filled(PackageResources.page_html, "{{server}}", with: Array(server.utf8))
    return filled(filled(text, "{{page.css}}", with: style), "{{page.js}}", with: script)
  }

  /// What browsers are told that the page may do.
  static let policy = [
    "default-src 'none'", "script-src \(source(script))", "style-src \(source(style))", "connect-src 'self'",
    "img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
  ].joined(separator: "; ")

  private static let style = PackageResources.page_css

  /// Later files use what earlier ones declare.
  private static let script = Array(
    [
      PackageResources.server_js, PackageResources.wheels_js, PackageResources.charts_js, PackageResources.tables_js,
      PackageResources.shards_js, PackageResources.messages_js, PackageResources.main_js,
    ].joined(separator: [UInt8(ascii: "\n")]))

  /// The text with `content` where the mark stands.
  private static func filled(_ text: [UInt8], _ mark: StaticString, with content: [UInt8]) -> [UInt8] {
    let mark = mark.withUTF8Buffer { Array($0) }
    guard let place = text.firstRange(of: mark) else {
      preconditionFailure("the page has places for what is put into it")
    }
    return text[..<place.lowerBound] + content + text[place.upperBound...]
  }

  /// How a policy names a text: by its SHA-256.
  private static func source(_ text: [UInt8]) -> String {
    var out = ByteBuffer()
    SHA256.hash(text).withBytes { out.appendBase64($0) }
    return "'sha256-\(String(decoding: out.readable, as: UTF8.self))'"
  }
}

extension SHA256 {
  fileprivate static func hash(_ bytes: [UInt8]) -> [UInt8] { bytes.withBytes { hash($0) } }
}
