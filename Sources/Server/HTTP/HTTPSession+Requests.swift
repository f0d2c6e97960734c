// Which path is what, and who may have it.

import Access
import HTTPProtocol
import LineProtocol
import Primitives

extension HTTPSession {
  func perform(_ request: HTTPRequest) {
    keepsAlive = request.keepsAlive
    do throws(HTTPError) { try services.audience.check(request) } catch { return refuse(error) }
    switch String(decoding: request.path, as: UTF8.self) {
    case "/": if isLook(request) { writePage(request) }
    case "/v1": performOperation(request)
    case "/metrics": if isLook(request), isAllowedToInspect(request) { writeMetrics(request) }
    case "/healthz": if isLook(request) { writeState(request, problem: failureText) }
    case "/readyz": if isLook(request) { writeState(request, problem: failureText ?? stoppingText) }
    default:
      write(Refusal(code: .notFound, message: "there are /, /v1, /metrics, /healthz and /readyz here"), for: request)
    }
  }

  // MARK: Operations

  private func performOperation(_ request: HTTPRequest) {
    guard request.method == .post else {
      let refusal = Refusal.badRequest("operations are sent with POST")
      return write(refusal, .methodNotAllowed, ["Allow": "POST"], for: request)
    }
    do throws(Refusal) { performer.identity = try identity(of: request) } catch { return write(error, for: request) }
    performer.refusedWith = nil
    isPerforming = true
    performer.perform(request.body)
    answer()
  }

  /// Who sent the request; nil for somebody who has not said so.
  ///
  /// - Throws: `unauthenticated` when what was said is wrong.
  func identity(of request: HTTPRequest) throws(Refusal) -> Identity? {
    guard services.admission.asksWho else { return services.admission.anybody }
    let count = request.count(of: "Authorization")
    guard count > 0 else { return nil }
    guard count == 1, let token = Self.bearer(request.field("Authorization")!),
      let identity = services.admission.identity(showing: token)
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

  // MARK: Pages

  private func isLook(_ request: HTTPRequest) -> Bool {
    if request.method == .get || request.method == .head { return true }
    write(Refusal.badRequest("this is read with GET"), .methodNotAllowed, ["Allow": "GET, HEAD"], for: request)
    return false
  }

  private func isAllowedToInspect(_ request: HTTPRequest) -> Bool {
    do throws(Refusal) {
      guard let identity = try identity(of: request) else {
        throw Refusal(code: .unauthenticated, message: "say who you are with 'Authorization: Bearer NAME:SECRET'")
      }
      guard identity.allowsEverywhere(.inspect) else {
        throw Refusal(code: .forbidden, message: "this takes the right 'inspect:*'")
      }
      return true
    } catch {
      write(error, for: request)
      return false
    }
  }

  /// The page for people. Anybody may have it: what it shows it asks for, as whoever looks at it.
  private func writePage(_ request: HTTPRequest) {
    Page.html.withBytes { html in
      write(
        .ok, "text/html; charset=utf-8", html, for: request,
        fields: ["Content-Security-Policy": Page.policy, "Referrer-Policy": "no-referrer"])
    }
  }

  private func writeMetrics(_ request: HTTPRequest) {
    let page = services.metrics
    write(.ok, PrometheusText.contentType, page.readable, for: request)
  }

  private var failureText: String? { broker.failure.map { "the store has failed; restart the server: \($0)" } }
  private var stoppingText: String? { services.isStopping ? "the server is stopping" : nil }

  private func writeState(_ request: HTTPRequest, problem: String?) {
    ((problem ?? "ok") + "\n").withBytes {
      write(problem == nil ? .ok : .serviceUnavailable, "text/plain; charset=utf-8", $0, for: request)
    }
  }
}
