final class Topics {
  weak var broker: Broker?
  subscript(number: UInt32) -> Topic? { broker?.topics[number] }
  func noteNumber(_ number: UInt32) { broker!.noteLostTopic(number) }
}
extension Topic {
  func addPending() { pendingCount += 1 }
  func removePending() { pendingCount -= 1 }
}
