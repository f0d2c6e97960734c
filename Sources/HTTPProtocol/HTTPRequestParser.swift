// Cuts requests out of the bytes of a connection as they come.
//
// Holds: the requests found do not depend on how the bytes were cut on their way; each byte is looked at once; memory stays
// below the bounds of head and body. After an error the parser gives the same error for ever.
// Leaves to others: reading and writing the connection; time limits; closing it after an error, and after a request that does
// not keep it alive (bytes behind such a request must not be given to the parser).

import Primitives

/// What a step of the parser came to.
public enum HTTPProgress: Sendable {
  /// More bytes are needed.
  case needsMoreBytes
  /// The client sends its body when it has read `100 Continue`, and not before. Said once for a request. A refusal instead
  /// closes the connection, as what follows could be the body or not.
  case expectsContinue
  /// A request is complete: `request` gives it.
  case request
}

/// An incremental parser of HTTP/1.1 requests. Used by one thread.
public struct HTTPRequestParser: ~Copyable {
  /// Bytes of a head, first line and line breaks included; also of the fields behind a chunked body.
  public static let headBytesMaxDefault = 16 << 10

  private enum State {
    case head
    case body(left: Int)
    case chunks
    case complete
    case failed(HTTPError)
  }

  private let bodyBytesMax: Int
  private var state = State.head
  private var lines: HeadLines
  private var chunks: ChunkedBody
  private var head: HTTPHead?
  private var body = ByteBuffer()

  /// Makes a parser for one connection.
  ///
  /// - Parameters:
  ///   - bodyBytesMax: the largest body, without the frames of its chunks; at least 0.
  ///   - headBytesMax: at least 1.
  public init(bodyBytesMax: Int, headBytesMax: Int = headBytesMaxDefault) {
    precondition(bodyBytesMax >= 0 && bodyBytesMax <= 1 << 40 && headBytesMax > 0, "bounds are positive and sensible")
    self.bodyBytesMax = bodyBytesMax
    lines = HeadLines(bytesMax: headBytesMax, skipsFirstEmptyLine: true)
    chunks = ChunkedBody(bytesMax: bodyBytesMax, trailerBytesMax: headBytesMax)
  }

  /// Whether a request has begun and is not complete: a time limit of its own holds then.
  public var isInsideRequest: Bool {
    switch state {
    case .head: !lines.isEmpty
    case .body, .chunks: true
    case .complete, .failed: false
    }
  }

  /// The request that is complete. Good until the next `advance`.
  ///
  /// - Precondition: `advance` has just given `.request`.
  public var request: HTTPRequest {
    guard case .complete = state, let head else { preconditionFailure("a request is complete") }
    return HTTPRequest(head: head, text: lines.text.readable, body: body.readable)
  }

  /// Bytes of the body that is coming in, or is complete.
  public var bodyBytes: Int { body.count }

  /// The request whose head is complete and whose body is not, without the body; nil when there is none. Good until the next
  /// `advance`.
  public var unfinished: HTTPRequest? {
    switch state {
    case .body, .chunks:
      head.map { HTTPRequest(head: $0, text: lines.text.readable, body: UnsafeRawBufferPointer(start: nil, count: 0)) }
    case .head, .complete, .failed: nil
    }
  }

  /// Takes bytes from the front of `input` until a request is complete or there are no more; call it again after `.request`
  /// and `.expectsContinue`, as more of them may be there already.
  ///
  /// - Throws: what is wrong; answer with its status and close the connection.
  /// - Complexity: O(bytes taken).
  public mutating func advance(_ input: inout ByteBuffer) throws(HTTPError) -> HTTPProgress {
    do {
      return try step(&input)
    } catch {
      state = .failed(error)
      throw error
    }
  }

  private mutating func step(_ input: inout ByteBuffer) throws(HTTPError) -> HTTPProgress {
    if case .complete = state { reset() }
    while true {
      switch state {
      case .failed(let error): throw error
      case .complete: return .request
      case .head:
        let (count, isComplete) = try lines.take(input.readable)
        input.consume(count)
        guard isComplete else { return .needsMoreBytes }
        let head = try HTTPHead(lines.lines, lines.text.readable, bodyBytesMax: bodyBytesMax)
        self.head = head
        switch head.framing {
        case .length(let length): state = length == 0 ? .complete : .body(left: length)
        case .chunked: state = .chunks
        }
        // A client that has sent some of its body does not wait.
        if head.expectsContinue, input.isEmpty { return .expectsContinue }
      case .body(let left):
        let count = min(left, input.count)
        body.append(UnsafeRawBufferPointer(rebasing: input.readable[..<count]))
        input.consume(count)
        guard count == left else {
          state = .body(left: left - count)
          return .needsMoreBytes
        }
        state = .complete
      case .chunks:
        let (count, isComplete) = try chunks.take(input.readable, into: &body)
        input.consume(count)
        guard isComplete else { return .needsMoreBytes }
        state = .complete
      }
    }
  }

  private mutating func reset() {
    state = .head
    lines.removeAll()
    chunks.removeAll()
    head = nil
    body.removeAll()
    body.shrink()
  }
}
