// Who a client is, whatever it speaks: the one place where tokens and secrets are compared.

import Access
import Primitives

/// Who may come in.
package final class Admission {
  private let tokens: [String]
  /// Who may come in, as the access file says; nil when there is none.
  package var access: AccessFile?

  /// As the settings say.
  package init(_ settings: ServerSettings) {
    tokens = settings.tokens
    access = settings.access
  }

  /// Who shows a token of the token file: it may do everything.
  private static let tokenHolder = Identity.unrestricted(name: "token")
  private static let everybody = Identity.unrestricted(name: "anybody")

  /// Whether clients must say who they are.
  package var asksWho: Bool { access != nil || !tokens.isEmpty }

  /// Who clients are that have not said so; nil when they must.
  package var anybody: Identity? { asksWho ? nil : Self.everybody }

  /// Who shows this: a token of the token file, or `NAME:SECRET` of the access file. Nil when it is nobody's.
  ///
  /// - Complexity: O(tokens + entries), whatever is shown.
  package func identity(showing token: UnsafeRawBufferPointer) -> Identity? {
    var isToken = false
    for good in tokens where Self.isSame(good, token) { isToken = true }
    if isToken { return Self.tokenHolder }
    guard let colon = token.firstIndex(of: UInt8(ascii: ":")) else { return nil }
    return identity(
      name: UnsafeRawBufferPointer(rebasing: token[..<colon]),
      secret: UnsafeRawBufferPointer(rebasing: token[(colon + 1)...]))
  }

  /// Who has this name and secret in the access file.
  func identity(name: UnsafeRawBufferPointer, secret: UnsafeRawBufferPointer) -> Identity? {
    access?.identity(name: String(decoding: name, as: UTF8.self), secret: secret)
  }

  /// Who somebody is now that another file holds than `old`: the entry of the same name and secret.
  package func renewed(_ identity: Identity, _ old: AccessFile) -> Identity? {
    if identity === Self.tokenHolder { return identity }
    guard let before = old.entries.first(where: { $0.identity === identity }),
      let now = access?.entries.first(where: { $0.identity.name == identity.name && $0.secret == before.secret })
    else { return nil }
    return now.identity
  }

  /// Compares without telling by time how much was right.
  package static func isSame(_ token: String, _ given: UnsafeRawBufferPointer) -> Bool {
    var difference = token.utf8.count ^ given.count
    for (left, right) in zip(token.utf8, given) { difference |= Int(left ^ right) }
    return difference == 0
  }
}
