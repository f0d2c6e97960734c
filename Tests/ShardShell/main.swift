// A node of a cluster of one shard, without the server: commands by line on standard input, what clients would see by line on
// standard output. The cases of `Tests/Interop/cluster_suites.py` run several against real servers, and kill them.
//
//   schedule ID DELAY-MS   answered `accepted ID` when it is committed and the lease is good
//   seize                  takes the leadership
//   status                 answered `status ROLE EPOCH INDEX VALID VOID`
//   digest                 answered `digest RECORD HASH`: what the node holds at its last record, when it follows or leads
//   quit
//
// By itself it prints `leads EPOCH`, `deposed`, `stopped REASON`, and `released ID OFFSET DUE-MS AT-MS` for what a consumer is shown.
//
// Started with: SERVERS SHARD REPLICAS NAME FOLDER [create] [clock=MS]

import Engine
import Glibc
import JetStream
import NATS
import Platform
import Primitives

let words = Array(CommandLine.arguments.dropFirst())
guard words.count >= 5, let number = Int(words[1]), let replicas = Int(words[2]) else {
  print("usage: ShardShell SERVERS SHARD REPLICAS NAME FOLDER [create] [clock=MS]")
  exit(2)
}
do {
  let settings = JetStreamSettings(
    shard: number, of: number + 1, replicas: replicas, bytesMax: 1 << 30,
    mayCreate: words.contains("create"))
  let client = NATSSettings(servers: try ServerAddress.list(words[0]), name: words[3])
  let offsetMs = words.first { $0.hasPrefix("clock=") }.flatMap { Int64($0.dropFirst(6)) } ?? 0
  try ShardShell(client, settings, name: words[3], folder: words[4], clockOffsetMs: offsetMs).run()
} catch {
  print("failed \(error)")
  exit(1)
}
