// The transport over a TCP socket.
//
// Holds: `descriptor` stays the same through all connections, so that a loop watches it once.
// Leaves to others: waiting (whoever watches `descriptor`).

import Platform

/// A TCP connection to one server at a time.
///
/// Names are looked up when a connection is begun, and that is the one thing that may take its time; addresses in numbers do
/// not.
public final class SocketTransport: NATSTransport {
  private let epoll: Epoll
  private var socket: Int32?
  private var isWaitingForRoom = false
  private var attempts = 0

  /// Makes one without a connection.
  public init() throws(SystemError) { epoll = try Epoll(capacity: 1) }

  deinit { close() }

  /// Readable, for `poll` and `epoll`, whenever there is something to do: bytes have come, or there is room for those that
  /// wait to be sent.
  public var descriptor: Int32 { epoll.waitable }

  /// Begins to connect, to the next of the addresses that the name has.
  public func open(_ address: ServerAddress) throws(SystemError) {
    close()
    let fd = try Socket.beginConnect(host: address.host, port: address.port, attempt: attempts)
    attempts &+= 1
    do throws(SystemError) { try epoll.add(fd, generation: 0, .readable) } catch {
      Socket.close(fd)
      throw error
    }
    socket = fd
    isWaitingForRoom = false
  }

  /// Reads what is there.
  public func read(into buffer: UnsafeMutableRawBufferPointer) -> TransferResult {
    guard let socket else { return .closed }
    return Socket.read(socket, into: buffer)
  }

  /// Writes what there is room for.
  public func write(_ bytes: UnsafeRawBufferPointer) -> TransferResult {
    guard let socket else { return .closed }
    let result = Socket.write(socket, bytes)
    let isFull = result == .wouldBlock
    if isFull != isWaitingForRoom {
      isWaitingForRoom = isFull
      do throws(SystemError) {
        try epoll.modify(socket, generation: 0, isFull ? [.readable, .writable] : .readable)
      } catch { return .failed(error.number) }
    }
    return result
  }

  /// Closes the socket.
  public func close() {
    guard let socket else { return }
    Socket.close(socket)
    self.socket = nil
  }
}
