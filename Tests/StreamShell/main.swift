// A shell for one stream in JetStream: commands by line on standard input, events by line on standard output. The cases of
// `Tests/Interop/nats_suites.py` drive it against real servers.
//
//   append EXPECTING BYTES SEED    stores an entry of so many bytes, which follow from the seed
//   read FROM BYTES                last                   truncate BELOW
//   load COUNT BYTES WINDOW        appends in a chain, so many in flight, and prints how long they took
//   quit
//
// Started with: SERVERS SHARD REPLICAS BYTES-MAX [create] [unsynced] [ca=FILE]

import Glibc
import JetStream
import NATS
import Platform
import Primitives
import TLS

let words = Array(CommandLine.arguments.dropFirst())
guard words.count >= 4, let shard = Int(words[1]), let replicas = Int(words[2]), let bytesMax = Int64(words[3]) else {
  print("usage: StreamShell SERVERS SHARD REPLICAS BYTES-MAX [create] [unsynced] [ca=FILE]")
  exit(2)
}
do {
  let authorities = words.first { $0.hasPrefix("ca=") }.map { String($0.dropFirst(3)) }
  let tls = try authorities.map { TLSUse.whenRequired(try TLSContext(client: .file($0))) } ?? .never
  var settings = JetStreamSettings(
    shard: shard, of: shard + 1, replicas: replicas, bytesMax: bytesMax, mayCreate: words.contains("create"))
  settings.mustSyncAlways = !words.contains("unsynced")
  let client = NATSSettings(servers: try ServerAddress.list(words[0]), name: "stream shell", tls: tls)
  try Shell(client, settings).run()
} catch {
  print("failed \(error)")
  exit(1)
}
