// Metrics in the text format of Prometheus, version 0.0.4.
//
// Holds: a family is written once, with its help and type in front of its samples; label values may hold anything.
// Leaves to others: which metrics there are; that a family's samples differ in their labels.
// Source: Prometheus, Exposition formats.

import Primitives

/// A page of metrics under construction.
public struct PrometheusText: ~Copyable {
  /// What a family of metrics is.
  public enum Kind: String, Sendable {
    /// Goes up only, from 0 at the start of the program.
    case counter
    /// Goes up and down.
    case gauge
    /// Counts values by size.
    case histogram
  }

  /// Labels of a sample.
  public typealias Labels = KeyValuePairs<StaticString, String>

  /// The type of the page as a response states it.
  public static let contentType: StaticString = "text/plain; version=0.0.4; charset=utf-8"

  private var out = ByteBuffer(capacity: 16 << 10)
  private var family = ""
  private var kind = Kind.gauge
  private var families: Set<String> = []

  /// An empty page.
  public init() {}

  /// The page so far; good until something is added.
  public var readable: UnsafeRawBufferPointer { out.readable }

  /// Begins a family; its samples follow.
  ///
  /// - Parameters:
  ///   - name: with its unit last, counters with `_total` behind it.
  ///   - help: what it is, for people.
  /// - Precondition: the name is a metric's name and has not been there yet.
  public mutating func begin(_ name: StaticString, _ kind: Kind, _ help: StaticString) {
    family = "\(name)"
    self.kind = kind
    precondition(Self.isName(family, allowsColon: true), "a metric's name has letters, digits, _ and :")
    precondition(families.insert(family).inserted, "a family of metrics is written once")
    append("# HELP \(family) ")
    for scalar in "\(help)".unicodeScalars { appendEscaped(scalar, escapesQuote: false) }
    append("\n# TYPE \(family) \(kind.rawValue)\n")
  }

  /// Adds a sample of the family.
  public mutating func sample(_ value: Int, _ labels: Labels = [:]) { sample("", "\(value)", labels, nil) }

  /// Adds a sample of the family.
  public mutating func sample(_ value: Double, _ labels: Labels = [:]) { sample("", Self.text(value), labels, nil) }

  /// A family of one sample without labels.
  public mutating func counter(_ name: StaticString, _ help: StaticString, _ value: Int) {
    begin(name, .counter, help)
    sample(value)
  }

  /// A family of one sample without labels.
  public mutating func gauge(_ name: StaticString, _ help: StaticString, _ value: Int) {
    begin(name, .gauge, help)
    sample(value)
  }

  /// Adds a histogram of the family.
  ///
  /// - Parameters:
  ///   - bounds: the upper ends of the buckets, ascending, without infinity.
  ///   - counts: the values in each bucket alone, and last those above all bounds.
  ///   - sum: of all values, in the unit of the bounds.
  /// - Precondition: the family is one of histograms; there is one count more than bounds.
  public mutating func histogram(bounds: [Double], counts: [Int], sum: Double, _ labels: Labels = [:]) {
    precondition(kind == .histogram, "histograms are samples of a family of histograms")
    precondition(counts.count == bounds.count + 1, "each bucket has a count, and so has what is above all bounds")
    precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "the bounds of the buckets ascend")
    var total: Int = 0
    for (place, count) in counts.enumerated() {
      total += count
      sample("_bucket", "\(total)", labels, place < bounds.count ? Self.text(bounds[place]) : "+Inf")
    }
    sample("_sum", Self.text(sum), labels, nil)
    sample("_count", "\(total)", labels, nil)
  }

  private mutating func sample(_ suffix: String, _ value: String, _ labels: Labels, _ bound: String?) {
    precondition(!family.isEmpty, "a sample belongs to a family")
    append(family + suffix)
    var separator = "{"
    for (name, value) in labels {
      let name = "\(name)"
      precondition(Self.isName(name, allowsColon: false) && name != "le", "a label's name has letters, digits and _")
      append("\(separator)\(name)=\"")
      for scalar in value.unicodeScalars { appendEscaped(scalar, escapesQuote: true) }
      append("\"")
      separator = ","
    }
    if let bound {
      append("\(separator)le=\"\(bound)\"")
      separator = ","
    }
    append(separator == "," ? "} \(value)\n" : " \(value)\n")
  }

  private mutating func append(_ text: String) { out.append(text: text) }

  private mutating func appendEscaped(_ scalar: Unicode.Scalar, escapesQuote: Bool) {
    switch scalar {
    case "\\": append("\\\\")
    case "\n": append("\\n")
    case "\"" where escapesQuote: append("\\\"")
    default: append(String(scalar))
    }
  }

  private static func text(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    return "\(value)"
  }

  private static func isName(_ text: String, allowsColon: Bool) -> Bool {
    for (place, byte) in text.utf8.enumerated() {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"): continue
      case UInt8(ascii: "0")...UInt8(ascii: "9") where place > 0: continue
      case UInt8(ascii: ":") where allowsColon: continue
      default: return false
      }
    }
    return !text.isEmpty
  }
}
