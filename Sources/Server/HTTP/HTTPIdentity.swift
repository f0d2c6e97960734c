// Who sent a request: what stands in its field `Authorization`.

import Access
import HTTPProtocol
import LineProtocol
import Primitives

/// Reads who sent a request.
package enum HTTPIdentity {
  /// Who sent the request; nil for somebody who has not said so.
  ///
  /// - Throws: `unauthenticated` when what was said is wrong.
  package static func of(_ request: HTTPRequest, _ admission: Admission) throws(Refusal) -> Identity? {
    guard admission.asksWho else { return admission.anybody }
    let count = request.count(of: "Authorization")
    guard count > 0 else { return nil }
    guard count == 1, let token = Self.bearer(request.field("Authorization")!),
      let identity = admission.identity(showing: token)
    else {
      let text = "the Authorization field must be 'Bearer NAME:SECRET', or 'Bearer TOKEN', and a good one"
      throw Refusal(code: .unauthenticated, message: text)
    }
    return identity
  }

  /// What stands behind `Bearer`.
  private static func bearer(_ value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
    let scheme = "bearer "
    guard value.count > scheme.utf8.count, zip(value, scheme.utf8).allSatisfy({ $0 | 0x20 == $1 }) else { return nil }
    return UnsafeRawBufferPointer(rebasing: value[scheme.utf8.count...].drop { $0 == 0x20 })
  }
}
