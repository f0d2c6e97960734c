// The first elements of an order, without putting all of them in order.

extension Swift.Sequence {
  /// The `count` first elements in the order of `areInOrder`, ascending. One comparison for most elements: O(n + count² log n).
  public func smallest(_ count: Int, by areInOrder: (Element, Element) -> Bool) -> [Element] {
    var kept: [Element] = []
    for element in self {
      if kept.count == count {
        guard let last = kept.last, areInOrder(element, last) else { continue }
        kept.removeLast()
      }
      var low = 0
      var high = kept.count
      while low < high {
        let middle = (low + high) / 2
        if areInOrder(kept[middle], element) { low = middle + 1 } else { high = middle }
      }
      kept.insert(element, at: low)
    }
    return kept
  }
}
