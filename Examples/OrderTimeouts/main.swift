// Orders that time out unless they are paid: `swift run OrderTimeouts [HOST:PORT]`, with a server running there.
//
// Three orders are placed, each with a time-out of two seconds (a real shop would say 30 minutes). One is paid, so its
// time-out is cancelled; the others' time-outs arrive, and the orders are closed.

import EscapementClient
import Foundation

let topic = "order-timeouts"
let timeout = Duration.seconds(2)

let address = (CommandLine.arguments.dropFirst().first ?? "127.0.0.1:7611").split(separator: ":")
guard address.count == 2, let port = Int(address[1]) else {
  print("usage: OrderTimeouts [HOST:PORT]")
  exit(2)
}
let client = EscapementClient(host: String(address[0]), port: port)
do { try await client.connect() } catch {
  print("no server at \(address[0]):\(port): \(error)")
  exit(1)
}

// The group is where the shop's servers share the work: start this program twice, and each time-out goes to one of them.
let timeouts = try await client.subscribe(topic: topic, group: "shop")

let orders = (1...3).map { "order-\(UUID().uuidString.prefix(8))-\($0)" }
for order in orders {
  // The order's number is the message's id: asking twice schedules once, and it is what the time-out is cancelled by.
  let receipt = try await client.schedule(
    topic: topic, body: .value(["order": order]), id: order, when: .after(timeout))
  print("\(order) placed, time-out \(receipt.outcome.rawValue)")
}

// `cancelled` is a promise: this time-out will never come. `released` would mean that it was faster than the payment.
print("\(orders[1]) paid, time-out \(try await client.cancel(topic: topic, id: orders[1]).rawValue)")

var open = Set([orders[0], orders[2]])
for try await message in timeouts {
  let order = try message.decode([String: String].self)["order"] ?? message.id
  print("\(order) was not paid in time and is closed (\(message.releasedAtMs - message.deliverAtMs) ms late)")
  // Only now: had this program crashed before, the time-out would come again.
  message.ack()
  open.remove(order)
  if open.isEmpty { break }
}
await client.close()
