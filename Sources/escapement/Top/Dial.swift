// A drawing of the wheels in dots of Braille: rings around each other, the finest inside, each with its hand.

import Foundation

struct Dial {
  /// Characters across; half as many lines. Each character is 2 dots wide and 4 high.
  private let columns: Int
  private var dots: [UInt8]
  private var size: Int { columns * 2 }

  /// - Parameter columns: even, at least 16.
  init(_ rings: [Ring], columns: Int) {
    self.columns = columns
    dots = Array(repeating: 0, count: columns * columns / 2)
    let inner = 4.0
    let widths = (Double(size) / 2 - inner - 1) / Double(max(1, rings.count))
    for (place, ring) in rings.enumerated() { draw(ring, from: inner + Double(place) * widths, width: widths) }
  }

  /// The drawing, line by line.
  var lines: [String] {
    (0..<columns / 2).map { row in
      String(
        String.UnicodeScalarView(dots[row * columns..<(row + 1) * columns].map { Unicode.Scalar(0x2800 + UInt32($0))! })
      )
    }
  }

  private mutating func draw(_ ring: Ring, from radius: Double, width: Double) {
    let most = log2(Double(max(1, ring.sectors.max() ?? 1)) + 1)
    // More steps than dots on the circle, so that it has no gaps.
    let steps = Int(2 * Double.pi * (radius + width)) * 2
    for step in 0..<steps {
      let part = Double(step) / Double(steps)
      let count = ring.sectors[min(ring.sectors.count - 1, Int(part * Double(ring.sectors.count)))]
      if step % 6 == 0 { dot(part, radius) }
      guard count > 0 else { continue }
      let height = max(1, (width - 2) * log2(Double(count) + 1) / most)
      for distance in 0...Int(height) { dot(part, radius + Double(distance)) }
    }
    for distance in 0..<max(1, Int(width) - 1) { dot(ring.hand, radius + Double(distance)) }
  }

  /// Sets the dot at a part of a turn, from the top clockwise, and a distance from the middle.
  private mutating func dot(_ part: Double, _ radius: Double) {
    let middle = Double(size - 1) / 2
    let x = Int((middle + radius * sin(part * 2 * .pi)).rounded())
    let y = Int((middle - radius * cos(part * 2 * .pi)).rounded())
    guard (0..<size).contains(x), (0..<size).contains(y) else { return }
    // Of the dots of a character the first three lines are numbered before the fourth.
    let bits: [[UInt8]] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]]
    dots[y / 4 * columns + x / 2] |= bits[y % 4][x % 2]
  }
}
