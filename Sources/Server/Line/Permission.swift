// What a client must be allowed to do for an operation: a column of the operation table.
//
// Leaves to others: which operation takes what (OperationTable), asking whoever the client is (LineSession+Rights).

import Access
import LineProtocol

/// A right on the thing that a field names.
struct Need: Sendable {
  let right: Right
  let kind: ResourceKind
  let field: FieldName
}

/// Who may perform an operation.
enum Permission: Sendable {
  /// Anybody, also before saying who he is.
  case anybody
  /// Whoever has said who he is. The operation is about what the connection has been given already, shows only what the client
  /// may inspect, or asks itself because what it takes does not stand in a field alone.
  case known
  /// Whoever has each of these rights. A field that is not there takes none.
  case needs([Need])
  /// Whoever has this right on everything.
  case everything(Right)

  var isForAnybody: Bool { if case .anybody = self { true } else { false } }

  /// The right on `topic`.
  static func topic(_ right: Right) -> Permission { .needs([Need(right: right, kind: .topic, field: .topic)]) }

  /// The right to consume on `topic` and on the group in this field.
  static func consume(_ group: FieldName = .group) -> Permission {
    .needs([
      Need(right: .consume, kind: .topic, field: .topic), Need(right: .consume, kind: .group, field: group),
    ])
  }

  /// The right on `queue`.
  static func queue(_ right: Right) -> Permission { .needs([Need(right: right, kind: .queue, field: .queue)]) }

  /// Bindings let messages of an exchange into a queue.
  static let binding = Permission.needs([
    Need(right: .admin, kind: .queue, field: .queue), Need(right: .consume, kind: .exchange, field: .exchange),
  ])

  /// Dead letters are taken out of one topic and put into another.
  static let redrive = Permission.needs([
    Need(right: .consume, kind: .topic, field: .topic), Need(right: .consume, kind: .group, field: .group),
    Need(right: .schedule, kind: .topic, field: .topic),
  ])

  static let halfMessage = Permission.needs([
    Need(right: .schedule, kind: .topic, field: .topic), Need(right: .schedule, kind: .group, field: .producerGroup),
  ])

  /// Producers are asked about, and shown, the messages of their group.
  static let producer = Permission.needs([Need(right: .schedule, kind: .group, field: .producerGroup)])
}
