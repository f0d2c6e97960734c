import Testing

@testable import NATS

@Suite("addresses of servers")
struct ServerAddressTests {
  @Test(
    "what people write",
    arguments: [
      ("nats://one:4223", "one:4223", NATSCredentials.none, false), ("one", "one:4222", .none, false),
      ("tls://one.example", "one.example:4222", .none, true),
      ("nats://[::1]:7", "[::1]:7", .none, false), ("nats://[::1]", "[::1]:4222", .none, false),
      ("nats://me:pass@one", "one:4222", .password(user: "me", password: "pass"), false),
      ("nats://me:p%40ss:w@one:1", "one:1", .password(user: "me", password: "p@ss:w"), false),
      ("nats://a@b@one", "one:4222", .token("a@b"), false), ("nats://t0ken@one", "one:4222", .token("t0ken"), false),
    ])
  func read(_ text: String, _ place: String, _ credentials: NATSCredentials, _ mustUseTLS: Bool) throws {
    let list = try ServerAddress.list("\(text),other:1")
    #expect(list.count == 2 && list[0].description == place && list[1].description == "other:1")
    #expect(list[0].credentials == credentials && list[0].mustUseTLS == mustUseTLS)
    #expect(!"\(list[0])".contains("pass"))
  }

  @Test(
    "what is none",
    arguments: [
      "", "nats://", "http://one", "nats://:1", "one:0", "one:65536", "one:x", "one:", "[::1", "[::1]x", "one,", ",one",
      "nats://a b", "nats://one/x", "nats://%zz@one", "nats://%4@one", "nats://u:%ff@one",
    ])
  func refused(_ text: String) {
    let error = #expect(throws: ServerAddressError.self) { try ServerAddress.list(text) }
    #expect(error?.description.isEmpty == false)
  }

  @Test(
    "subjects",
    arguments: [
      ("esc.0", true, true), ("a", true, true), ("$JS.API.STREAM.INFO.ESC-0", true, true), ("a.*", false, true),
      ("a.>", false, true), ("", false, false), ("a..b", false, false), (".a", false, false), ("a.", false, false),
      ("a b", false, false), ("a\r\nPUB", false, false), ("ä", false, false),
      (String(repeating: "a", count: 1025), false, false),
    ])
  func subjects(_ text: String, _ isLiteral: Bool, _ isAllowed: Bool) {
    #expect(Subject.isLiteral(text) == isLiteral)
    #expect(Subject.isAllowed(text) == isAllowed)
  }
}
