// The known name that an unknown one most likely stands for.

enum NearestName {
  /// The name with the fewest letters to insert, leave out or change; the first of them when several are as near.
  ///
  /// - Complexity: O(names × letters²); letters of the word beyond the 64th do not count.
  static func of(_ word: String, among names: [String]) -> String? {
    names.map { (name: $0, distance: distance(word.prefix(64), $0)) }.min { $0.distance < $1.distance }?.name
  }

  /// Levenshtein's distance.
  ///
  /// - Source: Wagner & Fischer, The String-to-String Correction Problem, 1974.
  static func distance(_ one: some StringProtocol, _ other: some StringProtocol) -> Int {
    let left = Array(one.unicodeScalars)
    let right = Array(other.unicodeScalars)
    var row = Array(0...right.count)
    for (index, letter) in left.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for place in right.indices {
        let changed = diagonal + (letter == right[place] ? 0 : 1)
        diagonal = row[place + 1]
        row[place + 1] = min(changed, row[place] + 1, diagonal + 1)
      }
    }
    return row[right.count]
  }
}
