// Commands by line on standard input, answers by line on standard output: how the suites of Tests/Interop drive a program.
//
// Holds: a line is printed whole and at once; a reader never waits: it is asked when the input is ready.
// Leaves to others: what the words mean, and when the input is ready (each shell).

import Glibc

/// Reads commands.
public struct CommandLines {
  private var input: [UInt8] = []
  /// Whether the input has ended.
  public private(set) var hasEnded = false

  /// Nothing read yet.
  public init() {}

  /// Takes what has come; gives the words of each line that is complete.
  public mutating func read() -> [[String]] {
    var piece = [UInt8](repeating: 0, count: 4096)
    let count = Glibc.read(0, &piece, piece.count)
    guard count > 0 else {
      hasEnded = true
      return []
    }
    input += piece[..<count]
    var lines: [[String]] = []
    while let end = input.firstIndex(of: UInt8(ascii: "\n")) {
      lines.append(String(decoding: input[..<end], as: UTF8.self).split(separator: " ").map(String.init))
      input.removeFirst(end + 1)
    }
    return lines
  }

  /// Prints a line at once; ends the program when nobody reads it.
  public static func say(_ text: String) {
    let line = Array((text + "\n").utf8)
    var written = 0
    while written < line.count {
      let count = line.withUnsafeBytes { write(1, $0.baseAddress! + written, $0.count - written) }
      guard count > 0 else { exit(1) }
      written += count
    }
  }

  /// Says that nobody knows these words.
  public static func refuse(_ words: [String]) { say("what is '\(words.joined(separator: " "))'?") }
}
