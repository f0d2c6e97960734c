// The topic trie against trying every pattern.

import SeededRandom
import Testing

@testable import RabbitMQFrontEnd

@Suite("Topic trie")
struct TopicTrieTests {
  /// Matches by the definition: `*` one word, `#` none or more.
  static func matches(_ pattern: ArraySlice<ArraySlice<UInt8>>, _ key: ArraySlice<ArraySlice<UInt8>>) -> Bool {
    guard let first = pattern.first else { return key.isEmpty }
    let rest = pattern.dropFirst()
    if first.elementsEqual("#".utf8) {
      return (0...key.count).contains { matches(rest, key.dropFirst($0)) }
    }
    guard let word = key.first else { return false }
    return (first.elementsEqual("*".utf8) || first == word) && matches(rest, key.dropFirst())
  }

  static func words(_ text: Text) -> ArraySlice<ArraySlice<UInt8>> { TopicTrie<Int>.words(text)[...] }

  @Test("finds what trying every pattern finds, while patterns come and go", arguments: UInt64(1)...40)
  func againstEveryPattern(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let letters = ["a", "b", "c", "", "*", "#"]
    func text(_ words: Int) -> Text {
      Text((0..<random.below(words + 1)).map { _ in letters[random.below(words == 5 ? 6 : 4)] }.joined(separator: "."))
    }
    var trie = TopicTrie<Int>()
    var patterns: [Int: Text] = [:]
    for step in 0..<300 {
      switch random.below(3) {
      case 0:
        patterns[step] = text(5)
        trie.insert(step, pattern: patterns[step]!)
      case 1 where !patterns.isEmpty && random.below(2) == 0:
        let gone = patterns.keys.sorted()[random.below(patterns.count)]
        trie.remove(gone, pattern: patterns.removeValue(forKey: gone)!)
      default:
        let key = text(4)
        var found: [Int] = []
        trie.match(key) { found.append($0) }
        let expected = patterns.filter { Self.matches(Self.words($0.value), Self.words(key)) }.keys.sorted()
        #expect(found.sorted() == expected, "seed \(seed), key '\(key)', patterns \(patterns)")
      }
    }
    #expect(trie.count == patterns.count, "seed \(seed)")
  }

  @Test("does not take longer with every # more")
  func manyHashes() {
    var trie = TopicTrie<Int>()
    let pattern = Text(Array(repeating: "#.a", count: 30).joined(separator: "."))
    trie.insert(1, pattern: pattern)
    var count = 0
    trie.match(Text(Array(repeating: "a", count: 60).joined(separator: "."))) { _ in count += 1 }
    #expect(count == 1)
  }

  @Test("removing what is not there changes nothing")
  func removingNothing() {
    var trie = TopicTrie<Int>()
    trie.insert(1, pattern: "a.*")
    trie.remove(2, pattern: "a.*")
    trie.remove(1, pattern: "a.b")
    trie.remove(1, pattern: "#")
    var found: [Int] = []
    trie.match("a.b") { found.append($0) }
    #expect(found == [1])
  }
}

extension SplitMix64 {
  fileprivate mutating func below(_ bound: Int) -> Int { Int(next(below: UInt64(bound))) }
}
