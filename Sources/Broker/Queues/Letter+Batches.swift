// How letters are put into records: all of one message in one record, unless they are more than a record holds.

import Primitives

extension Letter {
  /// The letters in the batches that one record each can hold, without those that go nowhere or are too long for a record.
  static func batches(_ letters: [Letter], of parts: MessageParts) -> [[Letter]] {
    var batches: [[Letter]] = []
    var targetsRoom = 0
    var bytesRoom = 0
    for letter in letters {
      let messageBytes = letter.withParts(of: parts) { $0.recordLength }
      if messageBytes > DecisionKind.messageBytesMax { continue }
      for first in stride(from: 0, to: letter.targets.count, by: LetterTarget.recordMax) {
        var part = letter
        part.targets = Array(letter.targets[first..<min(first + LetterTarget.recordMax, letter.targets.count)])
        let bytes = messageBytes + 4 + part.targets.count * LetterTarget.byteCount
        if targetsRoom < part.targets.count || bytesRoom < bytes {
          batches.append([])
          targetsRoom = LetterTarget.recordMax
          // One letter always fits: besides its message, a record has room for the targets of a whole one.
          bytesRoom = max(bytes, DecisionKind.messageBytesMax)
        }
        targetsRoom -= part.targets.count
        bytesRoom -= bytes
        batches[batches.count - 1].append(part)
      }
    }
    return batches
  }
}
