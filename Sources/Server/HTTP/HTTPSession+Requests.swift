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

  /// Who sent the request; see `HTTPIdentity`.
  func identity(of request: HTTPRequest) throws(Refusal) -> Identity? {
    try HTTPIdentity.of(request, services.admission)
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
    (services.settings.shard == nil ? Page.html : Page.htmlOfNode).withBytes { html in
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
