// The language that a client or server says it is written in: a name in JSON headers, a number in binary ones.
//
// Source: RocketMQ's `LanguageCode`.

import Primitives

/// A language. The raw value is the number in binary headers.
public enum LanguageCode: UInt8, CaseIterable, Sendable {
  case java = 0
  case cpp, dotnet, python, delphi, erlang, ruby
  /// Any that is not in the table.
  case other
  case http, go, php, oms, rust, nodeJS

  /// The name in JSON headers.
  public var name: StaticString {
    switch self {
    case .java: "JAVA"
    case .cpp: "CPP"
    case .dotnet: "DOTNET"
    case .python: "PYTHON"
    case .delphi: "DELPHI"
    case .erlang: "ERLANG"
    case .ruby: "RUBY"
    case .other: "OTHER"
    case .http: "HTTP"
    case .go: "GO"
    case .php: "PHP"
    case .oms: "OMS"
    case .rust: "RUST"
    case .nodeJS: "NODE_JS"
    }
  }

  /// The language with this name; `other` when there is none.
  init(name: UnsafeRawBufferPointer) {
    self = Self.allCases.first { name.equals($0.name) } ?? .other
  }
}
