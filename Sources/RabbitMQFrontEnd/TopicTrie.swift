// The bindings of a topic exchange by the words of their patterns: a key is matched by walking words, not by trying every
// binding.
//
// Holds: a node stands for the words from the root to it; `#` nodes also stand for more words; no leaf is without values.
// Complexity: a match visits each node at most once a word, however many `#` the patterns have.
// Leaves to others: what the values are.

/// Patterns with values.
public struct TopicTrie<Value: Equatable> {
  private final class Node {
    var children: [ArraySlice<UInt8>: Node] = [:]
    var star: Node?
    var hash: Node?
    let isHash: Bool
    var values: [Value] = []
    /// The step of the walk that has it in its set.
    var visited = -1

    init(isHash: Bool = false) { self.isHash = isHash }

    var isEmpty: Bool { values.isEmpty && children.isEmpty && star == nil && hash == nil }
  }

  private let root = Node()
  /// How many values there are.
  public private(set) var count = 0
  private let clock = Clock()
  private final class Clock { var now = 0 }

  /// No patterns.
  public init() {}

  /// The words of a key: what stands between its dots; the empty key has none.
  public static func words(_ key: Text) -> [ArraySlice<UInt8>] {
    key.isEmpty ? [] : key.bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
  }

  /// Adds a value under a pattern. O(words).
  public mutating func insert(_ value: Value, pattern: Text) {
    var node = root
    for word in Self.words(pattern) { node = Self.child(node, word, making: true)! }
    node.values.append(value)
    count += 1
  }

  /// Removes a value from under a pattern; nothing happens when it is not there. O(words + values there).
  public mutating func remove(_ value: Value, pattern: Text) {
    let words = Self.words(pattern)
    var path = [root]
    for word in words {
      guard let next = Self.child(path[path.count - 1], word, making: false) else { return }
      path.append(next)
    }
    guard let place = path[words.count].values.firstIndex(of: value) else { return }
    path[words.count].values.remove(at: place)
    count -= 1
    var depth = words.count
    while depth > 0, path[depth].isEmpty {
      depth -= 1
      Self.dropChild(path[depth], words[depth])
    }
  }

  /// Calls `body` for every value whose pattern matches the key; a value under several patterns comes several times.
  public func match(_ key: Text, _ body: (Value) -> Void) {
    clock.now += 1
    var here: [Node] = []
    enter(root, &here)
    for word in Self.words(key) {
      clock.now += 1
      var next: [Node] = []
      for node in here {
        if node.isHash { enter(node, &next) }
        if let child = node.children[word] { enter(child, &next) }
        if let star = node.star { enter(star, &next) }
      }
      if next.isEmpty { return }
      here = next
    }
    for node in here { node.values.forEach(body) }
  }

  /// Puts a node into the set, and with it what follows without a word.
  private func enter(_ node: Node, _ set: inout [Node]) {
    guard node.visited != clock.now else { return }
    node.visited = clock.now
    set.append(node)
    if let hash = node.hash { enter(hash, &set) }
  }

  private static func child(_ node: Node, _ word: ArraySlice<UInt8>, making: Bool) -> Node? {
    if word.elementsEqual("*".utf8) {
      if node.star == nil, making { node.star = Node() }
      return node.star
    }
    if word.elementsEqual("#".utf8) {
      if node.hash == nil, making { node.hash = Node(isHash: true) }
      return node.hash
    }
    if node.children[word] == nil, making { node.children[word] = Node() }
    return node.children[word]
  }

  private static func dropChild(_ node: Node, _ word: ArraySlice<UInt8>) {
    if word.elementsEqual("*".utf8) {
      node.star = nil
    } else if word.elementsEqual("#".utf8) {
      node.hash = nil
    } else {
      node.children[word] = nil
    }
  }
}
