// Memory for decoded strings, given out piece by piece and taken back all at once.
//
// Holds: a piece stays where it is until `reset`; in steady state nothing is allocated.
// Leaves to others: when to reset (the reader, at the next parse).

/// A bump allocator over chunks.
final class ScratchArena {
  // What one usual line can need; a larger chunk is given back at the next reset once it is above `keptBytesMax`.
  private static let firstBytes = 4096
  private static let keptBytesMax = 1 << 16

  private struct State {
    var chunk: UnsafeMutableRawPointer
    var capacity: Int
    var used = 0
    var retired: [UnsafeMutableRawPointer] = []
  }

  // Behind a pointer for the same reason as in `RequestReader`.
  private let state: UnsafeMutablePointer<State>

  init() {
    state = .allocate(capacity: 1)
    state.initialize(
      to: State(chunk: .allocate(byteCount: Self.firstBytes, alignment: 16), capacity: Self.firstBytes))
  }

  deinit {
    releaseRetired()
    state.pointee.chunk.deallocate()
    state.deinitialize(count: 1)
    state.deallocate()
  }

  /// Room for `count` bytes, not initialised.
  func take(_ count: Int) -> UnsafeMutablePointer<UInt8> {
    if state.pointee.capacity - state.pointee.used < count { addChunk(count) }
    let piece = state.pointee.chunk + state.pointee.used
    state.pointee.used += count
    return piece.assumingMemoryBound(to: UInt8.self)
  }

  /// Gives back the last `count` bytes of the last piece.
  func giveBack(_ count: Int) { state.pointee.used -= count }

  /// Takes back every piece.
  func reset() {
    // Untouched since the last reset: nearly every line.
    if state.pointee.used == 0, state.pointee.retired.isEmpty { return }
    state.pointee.used = 0
    releaseRetired()
    if state.pointee.capacity > Self.keptBytesMax { replaceChunk(Self.firstBytes) }
  }

  private func addChunk(_ count: Int) {
    state.pointee.retired.append(state.pointee.chunk)
    makeChunk(Swift.max(state.pointee.capacity * 2, count))
  }

  private func replaceChunk(_ capacity: Int) {
    state.pointee.chunk.deallocate()
    makeChunk(capacity)
  }

  private func makeChunk(_ capacity: Int) {
    state.pointee.chunk = .allocate(byteCount: capacity, alignment: 16)
    state.pointee.capacity = capacity
    state.pointee.used = 0
  }

  private func releaseRetired() {
    for old in state.pointee.retired { old.deallocate() }
    state.pointee.retired.removeAll(keepingCapacity: true)
  }
}
