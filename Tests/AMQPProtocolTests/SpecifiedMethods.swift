// The method table of the specification, as a second opinion on ours.
//
// A line: class, method, name, whether synchronous, whether it carries content, fields in the order of the wire.
// Fields: o octet, h short, i long, q longlong, s short string, S long string, b bit, t table; ! before a reserved one.
// Source: amqp0-9-1.stripped.extended.xml; connection.blocked, unblocked and update-secret from RabbitMQ's documentation.

struct SpecifiedMethod {
  let classID: UInt16
  let methodID: UInt16
  let name: String
  let isSynchronous: Bool
  let carriesContent: Bool
  let fields: String

  /// Whether there are fields that are not reserved.
  var hasFields: Bool { fields.count > 2 * fields.count { $0 == "!" } }

  static let all: [SpecifiedMethod] = lines.split(separator: "\n").map { line in
    let words = line.split(separator: " ").map(String.init)
    return SpecifiedMethod(
      classID: UInt16(words[0])!, methodID: UInt16(words[1])!, name: words[2], isSynchronous: words[3] == "sync",
      carriesContent: words[4] == "content", fields: words[5] == "-" ? "" : words[5])
  }

  private static let lines = """
    10 10 connection.start sync plain ootSS
    10 11 connection.start-ok sync plain tsSs
    10 20 connection.secure sync plain S
    10 21 connection.secure-ok sync plain S
    10 30 connection.tune sync plain hih
    10 31 connection.tune-ok sync plain hih
    10 40 connection.open sync plain s!s!b
    10 41 connection.open-ok sync plain !s
    10 50 connection.close sync plain hshh
    10 51 connection.close-ok sync plain -
    10 60 connection.blocked async plain s
    10 61 connection.unblocked async plain -
    10 70 connection.update-secret sync plain Ss
    10 71 connection.update-secret-ok sync plain -
    20 10 channel.open sync plain !s
    20 11 channel.open-ok sync plain !S
    20 20 channel.flow sync plain b
    20 21 channel.flow-ok async plain b
    20 40 channel.close sync plain hshh
    20 41 channel.close-ok sync plain -
    40 10 exchange.declare sync plain !hssbbbbbt
    40 11 exchange.declare-ok sync plain -
    40 20 exchange.delete sync plain !hsbb
    40 21 exchange.delete-ok sync plain -
    40 30 exchange.bind sync plain !hsssbt
    40 31 exchange.bind-ok sync plain -
    40 40 exchange.unbind sync plain !hsssbt
    40 51 exchange.unbind-ok sync plain -
    50 10 queue.declare sync plain !hsbbbbbt
    50 11 queue.declare-ok sync plain sii
    50 20 queue.bind sync plain !hsssbt
    50 21 queue.bind-ok sync plain -
    50 30 queue.purge sync plain !hsb
    50 31 queue.purge-ok sync plain i
    50 40 queue.delete sync plain !hsbbb
    50 41 queue.delete-ok sync plain i
    50 50 queue.unbind sync plain !hssst
    50 51 queue.unbind-ok sync plain -
    60 10 basic.qos sync plain ihb
    60 11 basic.qos-ok sync plain -
    60 20 basic.consume sync plain !hssbbbbt
    60 21 basic.consume-ok sync plain s
    60 30 basic.cancel sync plain sb
    60 31 basic.cancel-ok sync plain s
    60 40 basic.publish async content !hssbb
    60 50 basic.return async content hsss
    60 60 basic.deliver async content sqbss
    60 70 basic.get sync plain !hsb
    60 71 basic.get-ok sync content qbssi
    60 72 basic.get-empty sync plain !s
    60 80 basic.ack async plain qb
    60 90 basic.reject async plain qb
    60 100 basic.recover-async async plain b
    60 110 basic.recover async plain b
    60 111 basic.recover-ok sync plain -
    60 120 basic.nack async plain qbb
    85 10 confirm.select sync plain b
    85 11 confirm.select-ok sync plain -
    90 10 tx.select sync plain -
    90 11 tx.select-ok sync plain -
    90 20 tx.commit sync plain -
    90 21 tx.commit-ok sync plain -
    90 30 tx.rollback sync plain -
    90 31 tx.rollback-ok sync plain -
    """
}
