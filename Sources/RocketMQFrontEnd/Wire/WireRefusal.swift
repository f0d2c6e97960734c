// Why a request of the remoting protocol is refused: the code of the response, and its remark.

import Broker
import RemotingProtocol

/// Why a request was not done.
public enum WireStop: Error {
  /// It never will be: the response has this code and this remark.
  case refused(ResponseCode, String)
  /// It needs something from disk: give it again when the broker says so.
  case waitForDisk

  /// What the broker's refusal is called here.
  public init(_ stop: BrokerStop) {
    guard case .refused(let refusal) = stop else {
      self = .waitForDisk
      return
    }
    let code: ResponseCode =
      switch refusal.code {
      case .notFound: .topicNotExist
      case .delayOutOfRange, .bodyTooLarge: .messageIllegal
      case .limitExceeded, .busy: .systemBusy
      case .diskFull, .storageFailed: .serviceNotAvailable
      case .badRequest, .exists, .badState: .systemError
      }
    self = .refused(code, refusal.message)
  }

  /// What cannot be read.
  public init(_ error: RemotingError) { self = .refused(.systemError, error.description) }
}

/// What `body` gives; what the broker refuses is refused here.
func asked<R>(_ body: () throws(BrokerStop) -> R) throws(WireStop) -> R {
  do throws(BrokerStop) { return try body() } catch { throw WireStop(error) }
}
