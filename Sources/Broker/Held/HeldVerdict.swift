// What can be said of a held message, and what can become of it.

import Primitives

/// What an owner says about a held message.
public enum HeldVerdict: Sendable {
  /// Append it to its topic.
  case release
  /// Forget it.
  case drop
  /// Not decided yet.
  case undecided
}

/// What became of a held message.
public enum HeldOutcome: Equatable, Sendable {
  case released(offset: TopicOffset)
  case dropped
  case abandoned
  case held
  /// There is none of this id, or it ended longer ago than ids are remembered.
  case unknown
}
