// Every setting of the server and every bound of its network side, with defaults.

import Engine
import Journal

/// How a server is run.
public struct ServerSettings: Sendable {
  /// The data folder.
  public var dataFolder = "./escapement-data"
  /// Where to listen.
  public var listeners = [ListenAddress(host: "127.0.0.1", port: 7611, wire: .line)]
  /// The engine's settings.
  public var engine = EngineSettings()
  /// The journal's settings.
  public var journal = JournalSettings()
  /// The longest line, without its newline.
  public var lineBytesMax = 1 << 20
  /// Connections at a time; one more is told `busy` and closed.
  public var connectionsMax = 50_000
  /// Bytes that wait to be sent on one connection; beyond it nothing more is delivered to it or read from it.
  public var unsentBytesMax = 4 << 20
  /// Bytes on their way to the journal; beyond it no more commands are read.
  public var inFlightBytesMax = 64 << 20
  /// Subscriptions of one connection; also fetches that wait on it, and groups that it fetches for.
  public var subscriptionsMax = 1024
  /// The tokens that `hello` may give; empty: no token is needed.
  public var tokens: [String] = []
  /// A step of the wall clock beyond this is followed, or waited out; smaller differences are slewed.
  public var clockStepMs: Int64 = 1000

  /// The defaults.
  public init() {}
}

/// Name and version as shown to clients.
public enum ServerVersion {
  /// The version.
  public static let number = "0.1.0"
  /// Name and version.
  public static let text = "escapement/\(number)"
}
