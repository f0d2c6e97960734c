// Automatic reviews: `swift run AutomaticReviews [--after SECONDS] [HOST:PORT]`, with a server running there.
//
// Ten hours after a parcel was delivered, a good review is written in the buyer's name, unless the buyer wrote one. Ten
// hours are long to watch: `--after 2` makes them two seconds. Stop and start the server meanwhile, if you like.

import EscapementClient
import Foundation

let topic = "automatic-reviews"
var after = Duration.seconds(10 * 60 * 60)

var words = CommandLine.arguments.dropFirst()
if let flag = words.firstIndex(of: "--after"), flag + 1 < words.endIndex, let seconds = Double(words[flag + 1]) {
  after = .seconds(seconds)
  words.removeSubrange(flag...(flag + 1))
}
let address = (words.first ?? "127.0.0.1:7611").split(separator: ":")
guard words.count <= 1, address.count == 2, let port = Int(address[1]) else {
  print("usage: AutomaticReviews [--after SECONDS] [HOST:PORT]")
  exit(2)
}
let client = EscapementClient(host: String(address[0]), port: port)
do { try await client.connect() } catch {
  print("no server at \(address[0]):\(port): \(error)")
  exit(1)
}

/// A parcel arrived: the review is planned. A parcel that is reported twice is one review.
func delivered(_ parcel: String, at time: Date) async throws {
  let receipt = try await client.schedule(
    topic: topic, body: .value(["parcel": parcel, "stars": "5"]), id: parcel,
    when: .at(time + Double(after.components.seconds) + Double(after.components.attoseconds) / 1e18))
  print("\(parcel) delivered, automatic review \(receipt.outcome.rawValue)")
}

/// The buyer was faster. When the answer is `released`, the automatic review stands already.
func reviewed(_ parcel: String) async throws {
  print(
    "\(parcel) reviewed by its buyer, automatic review \(try await client.cancel(topic: topic, id: parcel).rawValue)")
}

let run = UUID().uuidString.prefix(8)
for number in 1...3 { try await delivered("parcel-\(run)-\(number)", at: Date()) }
try await delivered("parcel-\(run)-1", at: Date())
try await reviewed("parcel-\(run)-2")

var left = 2
for try await message in try await client.subscribe(topic: topic, group: "reviewer") {
  let review = try message.decode([String: String].self)
  print("\(review["parcel"] ?? "?") gets \(review["stars"] ?? "?") stars, automatically")
  message.ack()
  left -= message.id.contains(run) ? 1 : 0
  if left == 0 { break }
}
await client.close()
